//! The query of an address, read as strictly as a body: unknown names, names given twice, and values that are empty or
//! hold control characters are refused.

use std::{collections::BTreeMap, ops::RangeInclusive};

use axum::http::Uri;

use crate::{
    problem::{Kind, Problem},
    wire::Fault,
};

/// Parameters of a query at most; the request head bounds their length.
const PARAMETERS_MAX: usize = 16;

/// The parameters that were not taken yet.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, String>);

pub(crate) fn fault(name: &str, reason: impl Into<String>) -> Problem {
    let field = name.chars().take(64).collect();
    Problem::of_field(Kind::InvalidRequest, Fault { field, reason: reason.into() })
}

impl Query {
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Problem> {
        let malformed = |_| Problem::new(Kind::InvalidRequest, "the query is not form-encoded UTF-8");
        let axum::extract::Query(pairs) =
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(malformed)?;
        if pairs.len() > PARAMETERS_MAX {
            let detail = format!("the query has more than {PARAMETERS_MAX} parameters");
            return Err(Problem::new(Kind::InvalidRequest, detail));
        }
        let mut left = BTreeMap::new();
        for (name, value) in pairs {
            if value.is_empty() || value.contains(char::is_control) {
                return Err(fault(&name, "is empty or holds control characters"));
            }
            if left.contains_key(&name) {
                return Err(fault(&name, "is given twice"));
            }
            left.insert(name, value);
        }
        Ok(Self(left))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A text of so many characters at most.
    pub(crate) fn text(&mut self, name: &str, chars_max: usize) -> Result<Option<String>, Problem> {
        let text = self.take(name);
        match &text {
            Some(long) if long.chars().count() > chars_max => {
                Err(fault(name, format!("expected at most {chars_max} characters")))
            }
            _ => Ok(text),
        }
    }

    /// A whole number in a range.
    pub(crate) fn count(
        &mut self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && range.contains(number));
        number.map(Some).ok_or_else(|| {
            fault(name, format!("expected a whole number from {} to {}", range.start(), range.end()))
        })
    }

    pub(crate) fn finish(self) -> Result<(), Problem> {
        self.0.keys().next().map_or(Ok(()), |name| Err(fault(name, "is not a parameter of this call")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_queries_are_refused() {
        let mut query = Query::parse(&Uri::from_static("/x?after=a%2Fb&limit=7")).unwrap();
        assert_eq!(query.take("after").as_deref(), Some("a/b"));
        assert_eq!(query.count("limit", 1..=10).unwrap(), Some(7));
        assert!(query.finish().is_ok());
        for text in
            ["/x?limit=0", "/x?limit=11", "/x?limit=+7", "/x?limit=a", "/x?limit=99999999999999999999999"]
        {
            let uri: Uri = text.parse().unwrap();
            assert!(Query::parse(&uri).unwrap().count("limit", 1..=10).is_err(), "{text}");
        }
        for text in ["/x?a=1&a=2", "/x?limit=", "/x?after", "/x?after=a%00", "/x?after=%C3%97%C2%9B"] {
            assert!(Query::parse(&text.parse().unwrap()).is_err(), "{text}");
        }
        assert!(Query::parse(&Uri::from_static("/x?b=1")).unwrap().finish().is_err());
        let many: String = (0..20).map(|at| format!("p{at}=1&")).collect();
        assert!(Query::parse(&format!("/x?{many}").parse().unwrap()).is_err());
    }
}
