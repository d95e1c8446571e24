//! Services: in come the catalogue and `[services]`, out comes one lookup over both. The operator's own entry wins over
//! the catalogue's of the same name, with a warning.

use crate::{code, cx::Cx, syntax::Text};
use catalog::Service;
use std::{collections::BTreeMap, sync::Arc};
use toml::{Spanned, de::DeTable};
use words::{Diagnostic, EndpointName, ServiceName};

/// The compiled-in catalogue's type.
pub type Catalog = BTreeMap<ServiceName, Arc<Service>>;

/// Every service the file may speak of.
pub(crate) struct Services<'c> {
    pub own: Catalog,
    pub catalog: &'c Catalog,
}

impl Services<'_> {
    pub fn get(&self, name: &str) -> Option<&Arc<Service>> {
        self.own.get(name).or_else(|| self.catalog.get(name))
    }
    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.own.keys().chain(self.catalog.keys()).map(ServiceName::as_str)
    }
    /// A service by name, or a diagnostic.
    pub fn find(&self, cx: &mut Cx<'_>, name: &str, span: words::Span) -> Option<Arc<Service>> {
        if let Some(s) = self.get(name) {
            return Some(s.clone());
        }
        let help = match crate::cx::closest(name, self.names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`ravelin explain services` lists the catalogue; describe one of your own under [services.{}]", safe(name)),
        };
        cx.error(code::NAM003, span, format!("no service is called `{name}`"), help);
        None
    }
    /// An endpoint of a service, or a diagnostic.
    pub fn endpoint(&self, cx: &mut Cx<'_>, service: &Service, endpoint: &str, span: words::Span) -> Option<EndpointName> {
        if let Some(e) = service.endpoint(endpoint) {
            return Some(e.name.clone());
        }
        let names: Vec<&str> = service.endpoints.iter().map(|e| e.name.as_str()).collect();
        let help = crate::cx::meant(endpoint, names.iter().copied(), "it listens nowhere");
        cx.error(code::NAM004, span, format!("`{}` has no endpoint `{endpoint}`", service.name), help);
        None
    }
}

fn safe(name: &str) -> String {
    if name.parse::<ServiceName>().is_ok() { name.to_owned() } else { "NAME".to_owned() }
}

/// Reads `[services]`.
pub(crate) fn resolve<'c>(cx: &mut Cx<'_>, table: &Spanned<DeTable<'_>>, catalog: &'c Catalog) -> Services<'c> {
    let mut own = Catalog::new();
    let entries = table.get_ref().get("services").and_then(|v| v.get_ref().as_table());
    for (key, value) in entries.into_iter().flat_map(|t| t.iter()) {
        let Some(inner) = value.get_ref().as_table() else { continue };
        match catalog::from_table(key.get_ref(), Spanned::new(value.span(), inner.clone())) {
            Ok(service) => {
                if catalog.contains_key(&service.name) {
                    cx.push(
                        Diagnostic::warning(code::SITE016, format!("`{}` replaces the catalogue's entry of the same name", service.name))
                            .at(key.span(), "")
                            .help("choose another name unless that is meant"),
                    );
                }
                own.insert(service.name.clone(), Arc::new(service));
            }
            Err(e) => {
                let d = Diagnostic::error(code::SITE014, format!("service `{}`: {}", key.get_ref(), e.message))
                    .at(e.span.unwrap_or_else(|| key.span()), "")
                    .help("docs/catalogue.md explains the form; the entries of the catalogue are examples");
                cx.push(d);
            }
        }
    }
    Services { own, catalog }
}

/// `service` or `service.endpoint`. Names may hold dots, so the longest service that exists wins.
pub(crate) fn split(t: &Text, exists: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    if exists(&t.text) {
        return (&t.text, None);
    }
    match t.text.rsplit_once('.') {
        Some((service, endpoint)) => (service, Some(endpoint)),
        None => (&t.text, None),
    }
}
