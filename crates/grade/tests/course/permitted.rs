//! Source that no model can vouch for is refused before anything is built.

use crate::fixture::{find, message};
use crate::small::{Exercise, Small, answers};

const MODELS: &str = "[features]\nloom = []\n";

fn with_manifest(name: &'static str, manifest: &'static str) -> Exercise {
    Exercise {
        manifest,
        ..answers(name)
    }
}

#[test]
fn what_a_model_does_not_see_is_refused_where_there_is_one() {
    let course = Small::write(
        "permitted",
        &[
            with_manifest("modelled", MODELS),
            with_manifest(
                "licensed",
                "std = [\"std::sync::Mutex\"]\n[features]\nloom = []\n",
            ),
            answers("plain"),
            with_manifest("neighbour", MODELS),
        ],
    );
    let source = "// A lock that nobody sees.\nuse std as s;\n\nuse std::sync::Mutex;\npub fn answer() -> u32 { *Mutex::new(42).lock().unwrap() }\n";
    course.solve("modelled", source);
    course.solve("licensed", &source.replace("use std as s;\n", ""));
    course.solve("plain", source);
    course.solve("neighbour", "pub fn answer() -> u32 { 42 }\n");
    let result = course.grade(&[]);
    for (name, state) in [
        ("modelled", "failing"),
        ("licensed", "passing"),
        ("plain", "passing"),
        ("neighbour", "passing"),
    ] {
        assert_eq!(find(&result, name)["state"], state, "{name}: {result:#}");
    }
    let said = message(&result, "modelled");
    let place = course.path("modelled", "src/lib.rs");
    for words in [
        format!("{place}:2: `std`: name what you use in full"),
        format!(
            "{place}:4: `std::sync::Mutex`: the models do not see it. Use `kata::sync::Mutex`."
        ),
    ] {
        assert!(said.contains(&words), "{words}\n{said}");
    }
    assert_eq!(
        find(&result, "modelled")["checks"][0]["failures"][0]["test"],
        "build::source"
    );

    // Mended, it is built and passes; spoilt again, what is known of it does not hide that.
    course.solve("modelled", "pub fn answer() -> u32 { 42 }\n");
    assert_eq!(find(&course.grade(&[]), "modelled")["state"], "passing");
    course.solve("modelled", source);
    assert_eq!(find(&course.grade(&[]), "modelled")["state"], "failing");
}

#[test]
fn nothing_of_what_is_refused_runs() {
    let course = Small::write("refused", &[with_manifest("refused", MODELS)]);
    let trace = course.root.join("it-ran");
    course.solve(
        "refused",
        &format!("pub fn answer() -> u32 {{ std::fs::write({trace:?}, \"\").unwrap(); 42 }}\n"),
    );
    let result = course.grade(&[]);
    assert_eq!(find(&result, "refused")["state"], "failing", "{result:#}");
    assert!(message(&result, "refused").contains("`std::fs::write`"));
    assert!(!trace.exists());
}
