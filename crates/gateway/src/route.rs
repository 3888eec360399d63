//! The route table: which request needs what. Data, not code: an operator reads it, a test walks it.
//!
//! Exact paths win over prefixes, longer prefixes over shorter ones. A path that differs from a listed one only in
//! case matches nothing, since some servers would find the listed endpoint under it.

use auth::v2::session::SESSION_BODY_BYTES_MAX;
use foldhash::HashMap;
use http::Method;

/// Body bound of trading endpoints, in bytes.
pub const TRADING_BODY_BYTES_MAX: usize = 64 << 10;
/// Body bound of all other endpoints, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Where v2 keys open sessions.
pub const SESSION_PATH: &str = "/caponier/v2/session";
/// Where the keys are told that signed answers are verified with, as a JSON Web Key Set (RFC 7517).
pub const KEYS_PATH: &str = "/caponier/v2/keys";

/// What a request is, and so who may send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// Public data: no credential, and none is forwarded.
    Public,
    /// Private data: read permission.
    Read,
    /// Orders, transfers between own accounts, settings: trade permission.
    Trade,
    /// Moving funds out: withdraw permission and a key bound to IP addresses.
    Withdraw,
    /// API keys. Always refused here: keys are managed where they are verified, never behind the gateway.
    KeyManagement,
    /// Opening a session: any v2 key, by its own signature.
    Session,
}

/// Which limit a private request draws on. Place, amend and cancel are independent of each other, so that a flood of
/// new orders never keeps a customer from cancelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Budget {
    /// Changes of orders.
    Amend,
    /// Cancellations.
    Cancel,
    /// New orders.
    Place,
    /// Private reads.
    Read,
    /// Every other private action.
    Write,
    /// Withdrawals.
    Withdraw,
}

impl Budget {
    /// Every budget.
    pub const ALL: [Self; 6] =
        [Self::Amend, Self::Cancel, Self::Place, Self::Read, Self::Write, Self::Withdraw];
}

/// What is done with an admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Handling {
    /// Goes to the upstream, from a browser and without a credential, such as a log-in: while a challenge is in force,
    /// the browser must have solved one.
    Browser,
    /// Goes to the upstream.
    Forward,
    /// Is answered here: the keys that signed answers are verified with.
    AnswerKeys,
    /// Is answered here: a session of a v2 key.
    OpenSession,
    /// Is a withdrawal: goes to the upstream only if the decision says so.
    Decide,
    /// Is handed over as a WebSocket if it asks for one over HTTP/1.1; else it is answered 410.
    WebSocket,
    /// Is answered 410: moves funds in a way that is not decided about here, or does not belong behind the gateway.
    Unavailable,
}

/// Which methods a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// GET and POST.
    Any,
    /// GET only.
    Get,
    /// POST only.
    Post,
}

impl Verb {
    fn is(self, method: &Method) -> bool {
        match self {
            Self::Any => true,
            Self::Get => method == Method::GET,
            Self::Post => method == Method::POST,
        }
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Methods it is for.
    pub verb: Verb,
    /// The path; ending in `/` it stands for everything below.
    pub path: String,
    /// What the request is.
    pub class: Class,
    /// Which limit it draws on; the limit per source address holds for all.
    pub budget: Budget,
    /// Whether the cost is the number of elements of the body's array; else it is 1.
    pub cost_is_array_length: bool,
    /// Longest body, in bytes.
    pub body_bytes_max: usize,
    /// What is done with it.
    pub handling: Handling,
}

/// A table that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two lines answer for the same request.
    #[error("two routes for {path:?}")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// A public route that decides about withdrawals: nobody would have signed them.
    #[error("route {path:?} decides about withdrawals without asking for the withdraw permission")]
    DecideWithoutPermission {
        /// The path.
        path: String,
    },
    /// A path no request can have.
    #[error("path {path:?} is not canonical")]
    PathNotCanonical {
        /// The path.
        path: String,
    },
    /// More than [`RouteTable::ROUTES_MAX`] lines.
    #[error("{got} routes, at most {max} are allowed", max = RouteTable::ROUTES_MAX)]
    TooMany {
        /// Lines found.
        got: usize,
    },
}

/// All routes, ready for lookup.
#[derive(Debug, Clone)]
pub struct RouteTable {
    routes: Vec<Route>,
    exact: HashMap<String, Vec<usize>>,
    folded: HashMap<String, String>,
    /// Longest first.
    prefixes: Vec<usize>,
}

impl RouteTable {
    /// Most lines of a table.
    pub const ROUTES_MAX: usize = 4096;

    /// Builds the lookup.
    ///
    /// # Errors
    /// [`RouteError`] naming the line.
    pub fn new(routes: Vec<Route>) -> Result<Self, RouteError> {
        if routes.len() > Self::ROUTES_MAX {
            return Err(RouteError::TooMany { got: routes.len() });
        }
        let mut exact: HashMap<String, Vec<usize>> = HashMap::default();
        let mut prefixes = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let path = || route.path.clone();
            let stem = route.path.strip_suffix('/').filter(|stem| !stem.is_empty());
            if !crate::strict::is_canonical(stem.unwrap_or(&route.path)) {
                return Err(RouteError::PathNotCanonical { path: path() });
            }
            if route.handling == Handling::Decide
                && (route.class != Class::Withdraw || route.verb != Verb::Post)
            {
                return Err(RouteError::DecideWithoutPermission { path: path() });
            }
            let overlaps = |other: &Route| {
                other.path == route.path
                    && (other.verb == route.verb || other.verb == Verb::Any || route.verb == Verb::Any)
            };
            if routes.iter().take(index).any(overlaps) {
                return Err(RouteError::Duplicate { path: path() });
            }
            if route.path.ends_with('/') {
                prefixes.push(index);
            } else {
                exact.entry(route.path.clone()).or_default().push(index);
            }
        }
        prefixes
            .sort_by_key(|index| std::cmp::Reverse(routes.get(*index).map_or(0, |route| route.path.len())));
        let folded = exact.keys().map(|path| (path.to_ascii_lowercase(), path.clone())).collect();
        Ok(Self { routes, exact, folded, prefixes })
    }

    /// The table of the OKX v5 API.
    ///
    /// Unlisted paths below `/api/v5/` are private: GET is [`Class::Read`], POST is [`Class::Trade`]. Paths elsewhere
    /// match nothing, but for the three of WebSocket and the two that are answered here. Endpoints that move funds out in ways that are not decided about here (Lightning and fiat
    /// withdrawals) and endpoints that manage API keys are [`Handling::Unavailable`].
    #[must_use]
    pub fn okx_v5() -> Self {
        Self::new(okx_v5_routes()).expect("the built-in table is consistent, as its test shows")
    }

    /// The lines, in the order given.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The line that answers for a request, if any.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<&Route> {
        let line = |index: &usize| self.routes.get(*index).filter(|route| route.verb.is(method));
        if let Some(indexes) = self.exact.get(path) {
            // A listed path answers for the listed methods only: no fall-back to a prefix.
            return indexes.iter().find_map(line);
        }
        if self.respells_listed(path) {
            return None;
        }
        let below = |index: &&usize| {
            self.routes.get(**index).is_some_and(|route| path.starts_with(route.path.as_str()))
        };
        self.prefixes.iter().filter(below).find_map(line)
    }

    /// Whether `path` is a listed path in another case, or lies below one that is spelled in another case.
    fn respells_listed(&self, path: &str) -> bool {
        if !path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            // Listed paths may hold upper case themselves.
            return self.folded.get(path).is_some_and(|listed| listed != path);
        }
        let folded = path.to_ascii_lowercase();
        self.folded.get(&folded).is_some_and(|listed| listed != path)
    }
}

fn okx_v5_routes() -> Vec<Route> {
    let route = |verb, path: &str, class, budget| Route {
        verb,
        path: path.to_owned(),
        class,
        budget,
        cost_is_array_length: false,
        body_bytes_max: BODY_BYTES_MAX,
        handling: Handling::Forward,
    };
    let trading = |path: &str, budget| Route {
        body_bytes_max: TRADING_BODY_BYTES_MAX,
        cost_is_array_length: true,
        ..route(Verb::Post, path, Class::Trade, budget)
    };
    let unavailable = |path: &str, class, budget| Route {
        handling: Handling::Unavailable,
        ..route(Verb::Any, path, class, budget)
    };
    // Who may do what is asked of each message, not of the connection.
    let web_socket = |path: &str| Route {
        handling: Handling::WebSocket,
        ..route(Verb::Get, path, Class::Public, Budget::Read)
    };
    vec![
        route(Verb::Get, "/api/v5/public/", Class::Public, Budget::Read),
        route(Verb::Get, "/api/v5/market/", Class::Public, Budget::Read),
        route(Verb::Get, "/api/v5/system/", Class::Public, Budget::Read),
        trading("/api/v5/trade/order", Budget::Place),
        route(Verb::Get, "/api/v5/trade/order", Class::Read, Budget::Read),
        trading("/api/v5/trade/batch-orders", Budget::Place),
        trading("/api/v5/trade/order-algo", Budget::Place),
        route(Verb::Get, "/api/v5/trade/order-algo", Class::Read, Budget::Read),
        trading("/api/v5/trade/amend-order", Budget::Amend),
        trading("/api/v5/trade/amend-batch-orders", Budget::Amend),
        trading("/api/v5/trade/amend-algos", Budget::Amend),
        trading("/api/v5/trade/cancel-order", Budget::Cancel),
        trading("/api/v5/trade/cancel-batch-orders", Budget::Cancel),
        trading("/api/v5/trade/cancel-algos", Budget::Cancel),
        trading("/api/v5/trade/cancel-advance-algos", Budget::Cancel),
        trading("/api/v5/trade/cancel-all-after", Budget::Cancel),
        trading("/api/v5/trade/mass-cancel", Budget::Cancel),
        trading("/api/v5/trade/close-position", Budget::Place),
        Route {
            handling: Handling::Decide,
            body_bytes_max: TRADING_BODY_BYTES_MAX,
            ..route(Verb::Post, "/api/v5/asset/withdrawal", Class::Withdraw, Budget::Withdraw)
        },
        // Stops a withdrawal: needs the permission, draws on no withdrawal's budget, is not decided about.
        route(Verb::Post, "/api/v5/asset/cancel-withdrawal", Class::Withdraw, Budget::Cancel),
        unavailable("/api/v5/asset/withdrawal-lightning", Class::Withdraw, Budget::Withdraw),
        unavailable("/api/v5/fiat/create-withdrawal", Class::Withdraw, Budget::Withdraw),
        unavailable("/api/v5/fiat/withdrawal", Class::Withdraw, Budget::Withdraw),
        unavailable("/api/v5/users/subaccount/apikey", Class::KeyManagement, Budget::Write),
        unavailable("/api/v5/users/subaccount/modify-apikey", Class::KeyManagement, Budget::Write),
        unavailable("/api/v5/users/subaccount/delete-apikey", Class::KeyManagement, Budget::Write),
        web_socket("/ws/v5/business"),
        web_socket("/ws/v5/private"),
        web_socket("/ws/v5/public"),
        Route { handling: Handling::AnswerKeys, ..route(Verb::Get, KEYS_PATH, Class::Public, Budget::Read) },
        Route {
            handling: Handling::OpenSession,
            body_bytes_max: SESSION_BODY_BYTES_MAX,
            ..route(Verb::Post, SESSION_PATH, Class::Session, Budget::Write)
        },
        route(Verb::Get, "/api/v5/", Class::Read, Budget::Read),
        route(Verb::Post, "/api/v5/", Class::Trade, Budget::Write),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_consistent() {
        assert!(RouteTable::new(okx_v5_routes()).is_ok());
    }

    #[test]
    fn requests_find_their_line() {
        let table = RouteTable::okx_v5();
        let find = |method: Method, path| {
            table.find(&method, path).map(|route| (route.class, route.budget, route.handling))
        };
        let forward = |class, budget| Some((class, budget, Handling::Forward));
        assert_eq!(find(Method::GET, "/api/v5/public/time"), forward(Class::Public, Budget::Read));
        assert_eq!(find(Method::GET, "/api/v5/account/balance"), forward(Class::Read, Budget::Read));
        assert_eq!(find(Method::GET, "/api/v5/asset/currencies"), forward(Class::Read, Budget::Read));
        assert_eq!(find(Method::POST, "/api/v5/asset/transfer"), forward(Class::Trade, Budget::Write));
        assert_eq!(find(Method::POST, "/api/v5/trade/order"), forward(Class::Trade, Budget::Place));
        assert_eq!(find(Method::GET, "/api/v5/trade/order"), forward(Class::Read, Budget::Read));
        assert_eq!(
            find(Method::POST, "/api/v5/asset/withdrawal"),
            Some((Class::Withdraw, Budget::Withdraw, Handling::Decide))
        );
        for path in ["/ws/v5/business", "/ws/v5/private", "/ws/v5/public"] {
            assert_eq!(find(Method::GET, path), Some((Class::Public, Budget::Read, Handling::WebSocket)));
            assert_eq!(find(Method::POST, path), None);
        }
        assert_eq!(
            find(Method::POST, SESSION_PATH),
            Some((Class::Session, Budget::Write, Handling::OpenSession))
        );
        assert_eq!(find(Method::GET, KEYS_PATH), Some((Class::Public, Budget::Read, Handling::AnswerKeys)));
        assert_eq!((find(Method::GET, SESSION_PATH), find(Method::POST, KEYS_PATH)), (None, None));
        // A listed path does not fall back to the prefix for other methods, and no POST is public.
        assert_eq!(find(Method::GET, "/api/v5/asset/withdrawal"), None);
        assert_eq!(find(Method::POST, "/api/v5/public/time"), forward(Class::Trade, Budget::Write));
        for elsewhere in [
            "/",
            "/ws/v5/privat",
            "/ws/v5/private/",
            "/WS/v5/private",
            "/api/v4/x",
            "/api/v5",
            "/API/V5/account/balance",
        ] {
            assert_eq!(find(Method::GET, elsewhere), None, "{elsewhere}");
        }
        for respelled in ["/api/v5/asset/Withdrawal", "/api/v5/asset/WITHDRAWAL", "/api/v5/Asset/withdrawal"]
        {
            assert_eq!(find(Method::POST, respelled), None, "{respelled}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let line = |verb, path: &str| Route {
            verb,
            path: path.to_owned(),
            class: Class::Read,
            budget: Budget::Read,
            cost_is_array_length: false,
            body_bytes_max: 1,
            handling: Handling::Forward,
        };
        assert!(RouteTable::new(vec![line(Verb::Get, "/a"), line(Verb::Post, "/a")]).is_ok());
        assert!(matches!(
            RouteTable::new(vec![line(Verb::Get, "/a"), line(Verb::Any, "/a")]),
            Err(RouteError::Duplicate { .. })
        ));
        assert!(matches!(
            RouteTable::new(vec![line(Verb::Get, "/a//")]),
            Err(RouteError::PathNotCanonical { .. })
        ));
        let decide = Route { handling: Handling::Decide, ..line(Verb::Post, "/a") };
        assert!(matches!(RouteTable::new(vec![decide]), Err(RouteError::DecideWithoutPermission { .. })));
        let many = (0..=RouteTable::ROUTES_MAX).map(|n| line(Verb::Get, &format!("/a{n}"))).collect();
        assert!(matches!(RouteTable::new(many), Err(RouteError::TooMany { .. })));
    }
}
