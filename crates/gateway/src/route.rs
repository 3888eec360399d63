//! The route table: which request needs what. Data, not code: an operator reads it, a test walks it.
//!
//! Exact paths win over prefixes, longer prefixes over shorter ones. A path that differs from a listed one only in
//! case matches nothing, since some servers would find the listed endpoint under it.
//!
//! Operations of web sockets are those of the REST endpoint that does the same: what the table says about
//! `/api/v5/trade/order` holds for `{"op":"order"}`, limits included.

pub use admission::Class as Criticality;
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

/// How a request's cost is counted, for limits other than those of source and key, which count requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cost {
    /// 1, whatever it carries.
    One,
    /// The number of orders in its body: the elements of an array, else 1.
    Orders,
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
    /// Names of the limits it draws on, besides those of source and key, which hold for all.
    pub limits: Vec<String>,
    /// Names of the limits that a body of two orders or more draws on instead. Empty: the same.
    pub batch_limits: Vec<String>,
    /// How its cost is counted.
    pub cost: Cost,
    /// Longest body, in bytes.
    pub body_bytes_max: usize,
    /// What is done with it.
    pub handling: Handling,
    /// How much it matters when not everything can be served.
    pub criticality: Criticality,
}

impl Route {
    /// A line of a class that is forwarded, with the bound and criticality that go with the class, without limits of its
    /// own.
    #[must_use]
    pub fn new(verb: Verb, path: impl Into<String>, class: Class) -> Self {
        Self {
            verb,
            path: path.into(),
            class,
            limits: Vec::new(),
            batch_limits: Vec::new(),
            cost: Cost::One,
            body_bytes_max: BODY_BYTES_MAX,
            handling: Handling::Forward,
            criticality: class.criticality(Handling::Forward),
        }
    }

    /// The same line, drawing on these limits.
    #[must_use]
    pub fn drawing_on(self, limits: &[&str]) -> Self {
        Self { limits: limits.iter().map(|name| (*name).to_owned()).collect(), ..self }
    }
}

impl Class {
    /// How much requests of this class that are handled so matter, unless their line says otherwise.
    #[must_use]
    pub const fn criticality(self, handling: Handling) -> Criticality {
        match self {
            Self::Public if matches!(handling, Handling::Browser) => Criticality::Anonymous,
            Self::Public => Criticality::PublicRead,
            Self::Read | Self::KeyManagement => Criticality::PrivateRead,
            // Transfers between own accounts and settings: needed to trade, but not in this moment. Lines of orders say
            // otherwise.
            Self::Session | Self::Trade | Self::Withdraw => Criticality::Withdraw,
        }
    }
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
    /// Limits of batches on a line whose cost is not the number of orders, so that there are none.
    #[error("route {path:?} has limits of batches, but its cost is not the number of orders")]
    BatchWithoutOrders {
        /// The path.
        path: String,
    },
    /// A public route that decides about withdrawals: nobody would have signed them.
    #[error("route {path:?} decides about withdrawals without asking for the withdraw permission")]
    DecideWithoutPermission {
        /// The path.
        path: String,
    },
    /// A line that draws on one limit twice.
    #[error("route {path:?} draws on limit {name:?} twice")]
    LimitTwice {
        /// The path.
        path: String,
        /// The limit.
        name: String,
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
    /// More than [`RouteTable::LIMITS_MAX`] limits on one line.
    #[error("route {path:?} draws on {got} limits, at most {max} are allowed", max = RouteTable::LIMITS_MAX)]
    TooManyLimits {
        /// The path.
        path: String,
        /// Limits found.
        got: usize,
    },
    /// A web socket begins with GET and has no body; who may do what is asked of each message.
    #[error("route {path:?} is a web socket, which takes method get and class public")]
    WebSocketWithoutGet {
        /// The path.
        path: String,
    },
}

/// All routes, ready for lookup.
#[derive(Debug, Clone)]
pub struct RouteTable {
    /// Those given, then our own.
    routes: Vec<Route>,
    n_given: usize,
    exact: HashMap<String, Vec<usize>>,
    folded: HashMap<String, String>,
    /// Longest first.
    prefixes: Vec<usize>,
}

impl RouteError {
    /// The path of the line, where it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::BatchWithoutOrders { path }
            | Self::DecideWithoutPermission { path }
            | Self::Duplicate { path }
            | Self::LimitTwice { path, .. }
            | Self::PathNotCanonical { path }
            | Self::TooManyLimits { path, .. }
            | Self::WebSocketWithoutGet { path } => Some(path),
            Self::TooMany { .. } => None,
        }
    }
}

impl RouteTable {
    /// Most lines of a table.
    pub const ROUTES_MAX: usize = 4096;
    /// Most limits of a line, and most for its batches.
    pub const LIMITS_MAX: usize = 8;

    /// Builds the lookup.
    ///
    /// # Errors
    /// [`RouteError`] naming the line.
    pub fn new(mut routes: Vec<Route>) -> Result<Self, RouteError> {
        if routes.len() > Self::ROUTES_MAX {
            return Err(RouteError::TooMany { got: routes.len() });
        }
        let n_given = routes.len();
        routes.extend(own_routes());
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
            if route.handling == Handling::WebSocket
                && (route.verb != Verb::Get || route.class != Class::Public)
            {
                return Err(RouteError::WebSocketWithoutGet { path: path() });
            }
            if !route.batch_limits.is_empty() && route.cost != Cost::Orders {
                return Err(RouteError::BatchWithoutOrders { path: path() });
            }
            for names in [&route.limits, &route.batch_limits] {
                if names.len() > Self::LIMITS_MAX {
                    return Err(RouteError::TooManyLimits { path: path(), got: names.len() });
                }
                if let Some(name) = twice(names) {
                    return Err(RouteError::LimitTwice { path: path(), name: name.to_owned() });
                }
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
        Ok(Self { routes, n_given, exact, folded, prefixes })
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
        self.routes.get(..self.n_given).unwrap_or_default()
    }

    /// The lines, and behind them those that are answered here.
    pub(crate) fn lines(&self) -> &[Route] {
        &self.routes
    }

    /// The line that answers for a request, if any.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<&Route> {
        self.routes.get(self.place(method, path)?)
    }

    /// As [`RouteTable::find`], the line's place in [`RouteTable::lines`].
    pub(crate) fn place(&self, method: &Method, path: &str) -> Option<usize> {
        let line =
            |index: &usize| self.routes.get(*index).filter(|route| route.verb.is(method)).map(|_| *index);
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

/// A name that stands there twice.
fn twice(names: &[String]) -> Option<&str> {
    let mut rest = names.iter();
    std::iter::from_fn(|| rest.next().map(|name| (name, rest.as_slice())))
        .find(|(name, rest)| rest.contains(name))
        .map(|(name, _)| name.as_str())
}

/// What every table has besides: what is answered here, within the limits of source and key.
fn own_routes() -> [Route; 2] {
    [
        Route { handling: Handling::AnswerKeys, ..Route::new(Verb::Get, KEYS_PATH, Class::Public) },
        Route {
            handling: Handling::OpenSession,
            body_bytes_max: SESSION_BODY_BYTES_MAX,
            ..Route::new(Verb::Post, SESSION_PATH, Class::Session)
        },
    ]
}

fn okx_v5_routes() -> Vec<Route> {
    let read = |path: &str| Route::new(Verb::Get, path, Class::Read).drawing_on(&["read"]);
    let write = |path: &str| Route::new(Verb::Post, path, Class::Trade).drawing_on(&["write"]);
    let public = |path: &str| Route::new(Verb::Get, path, Class::Public).drawing_on(&["public"]);
    // OKX counts batches of one as single orders, and batches apart from single orders.
    let orders = |path: &str, single: &[&str], batch: &[&str], criticality| Route {
        body_bytes_max: TRADING_BODY_BYTES_MAX,
        cost: Cost::Orders,
        batch_limits: batch.iter().map(|name| (*name).to_owned()).collect(),
        criticality,
        ..Route::new(Verb::Post, path, Class::Trade).drawing_on(single)
    };
    let place =
        |path: &str| orders(path, &["place", "orders"], &["place_batch", "orders"], Criticality::Place);
    let amend =
        |path: &str| orders(path, &["amend", "orders"], &["amend_batch", "orders"], Criticality::Amend);
    let cancel = |path: &str| orders(path, &["cancel"], &["cancel_batch"], Criticality::Cancel);
    let withdraw = |path: &str| Route::new(Verb::Post, path, Class::Withdraw).drawing_on(&["withdraw"]);
    let unavailable =
        |path: &str, class| Route { handling: Handling::Unavailable, ..Route::new(Verb::Any, path, class) };
    // Who may do what is asked of each message, not of the connection.
    let web_socket =
        |path: &str| Route { handling: Handling::WebSocket, ..Route::new(Verb::Get, path, Class::Public) };
    vec![
        public("/api/v5/public/"),
        public("/api/v5/market/"),
        public("/api/v5/system/"),
        place("/api/v5/trade/order"),
        read("/api/v5/trade/order"),
        place("/api/v5/trade/batch-orders"),
        place("/api/v5/trade/order-algo"),
        read("/api/v5/trade/order-algo"),
        amend("/api/v5/trade/amend-order"),
        amend("/api/v5/trade/amend-batch-orders"),
        amend("/api/v5/trade/amend-algos"),
        cancel("/api/v5/trade/cancel-order"),
        cancel("/api/v5/trade/cancel-batch-orders"),
        cancel("/api/v5/trade/cancel-algos"),
        cancel("/api/v5/trade/cancel-advance-algos"),
        cancel("/api/v5/trade/cancel-all-after"),
        cancel("/api/v5/trade/mass-cancel"),
        // Only ever makes a position smaller.
        Route { criticality: Criticality::Amend, ..place("/api/v5/trade/close-position") },
        place("/api/v5/sprd/order"),
        read("/api/v5/sprd/order"),
        amend("/api/v5/sprd/amend-order"),
        cancel("/api/v5/sprd/cancel-order"),
        cancel("/api/v5/sprd/mass-cancel"),
        Route {
            handling: Handling::Decide,
            body_bytes_max: TRADING_BODY_BYTES_MAX,
            ..withdraw("/api/v5/asset/withdrawal")
        },
        // Stops a withdrawal: needs the permission, draws on no withdrawal's limit, is not decided about.
        Route { criticality: Criticality::Cancel, ..withdraw("/api/v5/asset/cancel-withdrawal") }
            .drawing_on(&["cancel"]),
        unavailable("/api/v5/asset/withdrawal-lightning", Class::Withdraw),
        unavailable("/api/v5/fiat/create-withdrawal", Class::Withdraw),
        unavailable("/api/v5/fiat/withdrawal", Class::Withdraw),
        unavailable("/api/v5/users/subaccount/apikey", Class::KeyManagement),
        unavailable("/api/v5/users/subaccount/modify-apikey", Class::KeyManagement),
        unavailable("/api/v5/users/subaccount/delete-apikey", Class::KeyManagement),
        web_socket("/ws/v5/business"),
        web_socket("/ws/v5/private"),
        web_socket("/ws/v5/public"),
        read("/api/v5/"),
        write("/api/v5/"),
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
            table.find(&method, path).map(|route| (route.class, route.limits.join(" "), route.handling))
        };
        let forward = |class, limits: &str| Some((class, limits.to_owned(), Handling::Forward));
        assert_eq!(find(Method::GET, "/api/v5/public/time"), forward(Class::Public, "public"));
        assert_eq!(find(Method::GET, "/api/v5/account/balance"), forward(Class::Read, "read"));
        assert_eq!(find(Method::GET, "/api/v5/asset/currencies"), forward(Class::Read, "read"));
        assert_eq!(find(Method::POST, "/api/v5/asset/transfer"), forward(Class::Trade, "write"));
        assert_eq!(find(Method::POST, "/api/v5/trade/order"), forward(Class::Trade, "place orders"));
        assert_eq!(find(Method::GET, "/api/v5/trade/order"), forward(Class::Read, "read"));
        assert_eq!(
            find(Method::POST, "/api/v5/asset/withdrawal"),
            Some((Class::Withdraw, "withdraw".to_owned(), Handling::Decide))
        );
        for path in ["/ws/v5/business", "/ws/v5/private", "/ws/v5/public"] {
            assert_eq!(find(Method::GET, path), Some((Class::Public, String::new(), Handling::WebSocket)));
            assert_eq!(find(Method::POST, path), None);
        }
        assert_eq!(
            find(Method::POST, SESSION_PATH),
            Some((Class::Session, String::new(), Handling::OpenSession))
        );
        assert_eq!(find(Method::GET, KEYS_PATH), Some((Class::Public, String::new(), Handling::AnswerKeys)));
        assert_eq!((find(Method::GET, SESSION_PATH), find(Method::POST, KEYS_PATH)), (None, None));
        // A listed path does not fall back to the prefix for other methods, and no POST is public.
        assert_eq!(find(Method::GET, "/api/v5/asset/withdrawal"), None);
        assert_eq!(find(Method::POST, "/api/v5/public/time"), forward(Class::Trade, "write"));
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
        let line = |verb, path: &str| Route::new(verb, path, Class::Read);
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
        let socket = Route { handling: Handling::WebSocket, ..line(Verb::Get, "/a") };
        assert!(matches!(RouteTable::new(vec![socket]), Err(RouteError::WebSocketWithoutGet { .. })));
        let twice = line(Verb::Get, "/a").drawing_on(&["x", "y", "x"]);
        assert!(matches!(RouteTable::new(vec![twice]), Err(RouteError::LimitTwice { .. })));
        let wide = line(Verb::Get, "/a").drawing_on(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
        assert!(matches!(RouteTable::new(vec![wide]), Err(RouteError::TooManyLimits { got: 9, .. })));
        let batch = Route { batch_limits: vec!["x".to_owned()], ..line(Verb::Post, "/a") };
        assert!(matches!(RouteTable::new(vec![batch]), Err(RouteError::BatchWithoutOrders { .. })));
        let many = (0..=RouteTable::ROUTES_MAX).map(|n| line(Verb::Get, &format!("/a{n}"))).collect();
        assert!(matches!(RouteTable::new(many), Err(RouteError::TooMany { .. })));
    }
}
