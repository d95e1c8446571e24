//! The tree: in comes TOML, out comes the same as values with spans and key paths, in the order of the file.
//! Never: looks at what the keys mean.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use words::Span;

/// A value with its place and its key path.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub value: Value,
    pub span: Span,
    pub path: String,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    /// `None`: beyond 64 bits.
    Int(Option<i64>),
    Float,
    Bool(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub node: Node,
}

/// A text with its place.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub text: String,
    pub span: Span,
    pub path: String,
}

impl Node {
    /// The whole file.
    pub fn root(table: &Spanned<DeTable<'_>>) -> Self {
        Self { value: Value::Table(entries(table.get_ref(), "")), span: table.span().into(), path: String::new() }
    }
    fn of(value: &Spanned<DeValue<'_>>, path: String) -> Self {
        let inner = match value.get_ref() {
            DeValue::String(s) => Value::Text(s.to_string()),
            DeValue::Integer(i) => Value::Int(i64::from_str_radix(i.as_str(), i.radix()).ok()),
            DeValue::Float(_) => Value::Float,
            DeValue::Boolean(b) => Value::Bool(*b),
            DeValue::Datetime(d) => Value::Date(d.to_string()),
            DeValue::Array(list) => Value::List(list.iter().enumerate().map(|(i, v)| Node::of(v, format!("{path}[{i}]"))).collect()),
            DeValue::Table(t) => Value::Table(entries(t, &path)),
        };
        Self { value: inner, span: value.span().into(), path }
    }
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|e| e.key == key)
    }
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.node)
    }
    pub fn as_text(&self) -> Option<Text> {
        match &self.value {
            Value::Text(t) | Value::Date(t) => Some(Text { text: t.clone(), span: self.span, path: self.path.clone() }),
            _ => None,
        }
    }
    pub fn text(&self, key: &str) -> Option<Text> {
        self.get(key)?.as_text()
    }
    /// A text, or a list of texts; empty where the key is missing.
    pub fn texts(&self, key: &str) -> Vec<Text> {
        self.get(key).map(Node::as_texts).unwrap_or_default()
    }
    pub fn as_texts(&self) -> Vec<Text> {
        match &self.value {
            Value::List(items) => items.iter().filter_map(Node::as_text).collect(),
            _ => self.as_text().into_iter().collect(),
        }
    }
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)?.value {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }
    pub fn int(&self, key: &str) -> Option<(i64, Span)> {
        let node = self.get(key)?;
        node.as_int().map(|i| (i, node.span))
    }
    pub fn as_int(&self) -> Option<i64> {
        match self.value {
            Value::Int(i) => i,
            _ => None,
        }
    }
    /// What a person would call its type.
    pub fn type_word(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Int(_) => "a number",
            Value::Float => "a fraction",
            Value::Bool(_) => "true or false",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn entries(table: &DeTable<'_>, path: &str) -> Vec<Entry> {
    let mut out: Vec<Entry> = table
        .iter()
        .map(|(key, value)| {
            let name = key.get_ref().to_string();
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            Entry { key: name, key_span: key.span().into(), node: Node::of(value, inner) }
        })
        .collect();
    out.sort_by_key(|e| e.key_span.start);
    out
}
