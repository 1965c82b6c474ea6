//! Texts with parameters in them: `--port {{ PORT }}`. The language is
//! Jinja's, by `minijinja`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use minijinja::{Environment, UndefinedBehavior};

use super::Name;

/// The engine, shared with [`super::expression`]. It has no loader: a template
/// cannot read a file.
pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = minijinja::syntax::SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build();
    engine.set_syntax(syntax.expect("the engine's own delimiters"));
    engine
});

/// A checked text with parameters in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: Arc<str>,
    names: Vec<Name>,
}

/// Why a template is refused or cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct TemplateError {
    text: String,
    line: usize,
}

impl TemplateError {
    pub(super) fn from_engine(error: &minijinja::Error) -> Self {
        let detail = error.detail().map(str::to_owned);
        Self {
            text: detail.unwrap_or_else(|| error.kind().to_string()),
            line: error.line().unwrap_or(1),
        }
    }

    /// The line of the template that it is about, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }
}

impl Template {
    /// Checks the syntax of `source`.
    ///
    /// # Errors
    /// What is wrong with it, in the engine's words.
    pub fn new(source: impl Into<Arc<str>>) -> Result<Self, TemplateError> {
        let source = source.into();
        let parsed = ENGINE
            .template_from_str(&source)
            .map_err(|error| TemplateError::from_engine(&error))?;
        let names = sorted(parsed.undeclared_variables(false));
        Ok(Self { source, names })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it asks for, sorted.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// The text with every name filled in.
    ///
    /// # Errors
    /// When a name has no value: a parameter that is not active, for instance.
    pub fn render(&self, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
        let missing = self
            .names
            .iter()
            .find(|name| !values.contains_key(&***name));
        ENGINE.render_str(&self.source, values).map_err(|error| {
            let mut error = TemplateError::from_engine(&error);
            if let Some(name) = missing {
                error.text = format!(
                    "`{name}` has no value here (a parameter that is not active?): \
                         {{% if {name} is defined %}}…{{% endif %}} leaves a part out"
                );
            }
            error
        })
    }
}

/// The names that the engine has found, in an order that does not change.
pub(super) fn sorted(found: impl IntoIterator<Item = String>) -> Vec<Name> {
    let mut names: Vec<Name> = found.into_iter().map(Name::from).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
        let values = values
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        Template::new(source)?.render(&values)
    }

    #[test]
    fn fills_in() {
        assert_eq!(render("--n={{ N }}", &[("N", "8")]), Ok("--n=8".into()));
        assert_eq!(render("plain\n", &[]), Ok("plain\n".into()));
        let optional = "{% if R is defined %}--rank {{ R }}{% endif %}";
        assert_eq!(render(optional, &[]), Ok(String::new()));
    }

    #[test]
    fn a_name_without_value_is_named() {
        let error = render("{{ N }}", &[]).expect_err("N is missing");
        assert!(error.to_string().contains("`N`"), "{error}");
    }

    #[test]
    fn syntax_is_checked_at_once() {
        assert!(Template::new("{{ N").is_err());
        assert!(Template::new("{% if %}").is_err());
        assert_eq!(
            Template::new("{{ A }}{{ B|upper }}")
                .expect("good")
                .names()
                .len(),
            2
        );
    }
}
