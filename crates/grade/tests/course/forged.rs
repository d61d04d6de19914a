//! Code that says of itself that it passes is not believed.

use crate::fixture::{find, message};
use crate::small::{Exercise, Small, answers};

/// What libtest prints of the only check when it passes.
const LINES: &str = "println!(\"\\nrunning 1 test\\ntest unit::answers ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\\n\");";

const FOREIGN: &str = "unsafe extern \"C\" { fn _exit(code: i32) -> !; fn atexit(last: extern \"C\" fn()) -> i32; }\n\
     extern \"C\" fn last() { LINES unsafe { _exit(0) } }\n";

/// Wrong programs, each with a part of what is said of it.
const TRICKS: [(&str, &str, &str); 8] = [
    (
        "prints",
        "pub fn answer() -> u32 { LINES std::process::exit(0) }\n",
        "libtest's own log does not",
    ),
    (
        "hooks",
        "pub fn answer() -> u32 { std::panic::set_hook(Box::new(|_| { LINES std::process::exit(0) })); 41 }\n",
        "libtest's own log does not",
    ),
    (
        "hushes",
        "pub fn answer() -> u32 { std::panic::set_hook(Box::new(|_| {})); 41 }\n",
        "without a message",
    ),
    (
        "at_exit",
        "FOREIGN pub fn answer() -> u32 { unsafe { atexit(last) }; 41 }\n",
        "left: 41",
    ),
    (
        "destructs",
        "FOREIGN #[used]\n#[unsafe(link_section = \".fini_array\")]\nstatic LAST: extern \"C\" fn() = last;\n\
         pub fn answer() -> u32 { let _ = atexit; 41 }\n",
        "left: 41",
    ),
    (
        "constructs",
        "FOREIGN extern \"C\" fn first() { if std::env::args().all(|word| word != \"--list\") { last() } }\n\
         #[used]\n#[unsafe(link_section = \".init_array\")]\nstatic FIRST: extern \"C\" fn() = first;\n\
         pub fn answer() -> u32 { let _ = atexit; 41 }\n",
        "libtest's own log does not",
    ),
    (
        "leaves",
        "struct Last;\nimpl Drop for Last { fn drop(&mut self) { LINES std::process::exit(0) } }\n\
         thread_local! { static LAST: Last = const { Last } }\n\
         pub fn answer() -> u32 { LAST.with(|_| ()); 41 }\n",
        "left: 41",
    ),
    (
        "slanders",
        // Reports in the name of whoever else is being tested.
        "pub fn answer() -> u32 { let own = std::env::var(\"KATA_REPORT\").unwrap(); let folder = std::path::Path::new(&own).parent().unwrap();\n\
         for number in 0..64 { let _ = std::fs::write(folder.join(format!(\"{number}.json\")), \"{\\\"schema\\\":\\\"kata/failure/v1\\\",\\\"headline\\\":\\\"hearsay\\\"}\"); } 41 }\n",
        "left: 41",
    ),
];

#[test]
fn nothing_that_a_program_says_of_itself_makes_it_pass() {
    let mut exercises: Vec<Exercise> = TRICKS.iter().map(|(name, ..)| answers(name)).collect();
    exercises.push(answers("neighbour"));
    let course = Small::write("forged", &exercises);
    for (name, source, _) in TRICKS {
        let source = source.replace("FOREIGN ", FOREIGN).replace("LINES", LINES);
        course.solve(name, &source);
    }
    course.solve("neighbour", "pub fn answer() -> u32 { 42 }\n");
    let result = course.grade(&["--jobs", "4"]);
    for (name, _, said) in TRICKS {
        assert_eq!(
            find(&result, name)["state"],
            "failing",
            "{name}: {result:#}"
        );
        let message = message(&result, name);
        assert!(message.contains(said), "{name}: {message}");
        assert!(!message.contains("hearsay"), "{name}: {message}");
    }
    assert_eq!(find(&result, "neighbour")["state"], "passing", "{result:#}");
}

/// Explored by `kata`, in a model that has operations of its own.
const fn modelled(name: &'static str) -> Exercise {
    Exercise {
        name,
        manifest: "[features]\nloom = [\"kata/loom\"]\n[dependencies.kata]\npath = KATA\n[dev-dependencies.kata]\npath = KATA\nfeatures = [\"check\"]\n",
        checks: &[
            (
                "main.rs",
                "#[cfg(feature = \"loom\")]\nmod loom;\n#[cfg(not(feature = \"loom\"))]\nmod unit;\n",
            ),
            (
                "unit.rs",
                "#[test]\nfn answers() { assert_eq!(answer::answer(), 42); }\n",
            ),
            (
                "loom.rs",
                "use kata::sync::atomic::{AtomicU32, Ordering::Relaxed};\n\
                 #[test]\nfn explores() { kata::check::exhaustive(|| {\n\
                 let other = kata::sync::Arc::new(AtomicU32::new(0)); let shared = other.clone();\n\
                 let thread = kata::thread::spawn(move || shared.fetch_add(1, Relaxed));\n\
                 other.fetch_add(1, Relaxed); thread.join().unwrap();\n\
                 assert_eq!(answer::answer(), 42); }); }\n",
            ),
        ],
    }
}

#[test]
fn a_model_has_to_see_the_code_that_it_is_about() {
    let course = Small::write("evidence", &[modelled("seen"), modelled("unseen")]);
    course.solve(
        "seen",
        "pub fn answer() -> u32 { kata::sync::atomic::AtomicU32::new(42).load(kata::sync::atomic::Ordering::Relaxed) }\n",
    );
    course.solve("unseen", "pub fn answer() -> u32 { 42 }\n");
    let result = course.grade(&[]);
    assert_eq!(find(&result, "seen")["state"], "passing", "{result:#}");
    assert_eq!(find(&result, "unseen")["state"], "failing", "{result:#}");
    let said = message(&result, "unseen");
    assert!(
        said.contains("No operation of yours was seen in a model"),
        "{said}"
    );
}
