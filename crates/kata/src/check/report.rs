//! A failed check as data, and the test that failed.

pub use kata_report::{Remedy, Report, Step};
pub(crate) use kata_report::{SCHEMA, wrap};

/// The running test.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    /// As libtest knows it, with its modules.
    path: String,
}

impl Test {
    /// libtest names its threads; on a single processor it does not start any, and the name of the model's closure is
    /// used.
    pub(crate) fn running(closure: &str) -> Self {
        let thread = std::thread::current();
        let path = match thread.name() {
            Some(name) if name != "main" => name.to_owned(),
            _ => {
                let parts: Vec<&str> = closure
                    .split("::")
                    .filter(|part| !part.starts_with("{{"))
                    .collect();
                parts.get(1..).unwrap_or_default().join("::")
            }
        };
        Self { path }
    }

    /// Without its modules.
    pub(crate) fn name(&self) -> String {
        let name = self.path.rsplit("::").next().unwrap_or(&self.path);
        name.to_owned()
    }

    /// The command that runs this test and no other in `world`, which is `std` or a feature, for a learner to type.
    pub(crate) fn command(&self, world: &str) -> String {
        let package = std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "<package>".to_owned());
        let features = match world {
            "std" => String::new(),
            feature => format!(" --features {feature}"),
        };
        let Self { path } = self;
        let exact = if path.is_empty() { "" } else { " --exact " };
        format!("cargo test -p {package}{features} --test checks --{exact}{path}")
    }
}
