//! `doc` and `completions`, for which a browser and a shell are needed.

use std::fs;
use std::process::Command;
use std::time::Duration;

use expectrl::{Expect as _, Session};

use crate::course::{assert_has, said, stderr, write};

#[test]
fn the_documentation_is_opened_or_named() {
    let course = write("doc");
    course.put(
        "crates/kata/Cargo.toml",
        "[package]\nname = \"kata\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    course.put("crates/kata/src/lib.rs", "//! The facade.\n");
    let page = course.root.join("target/doc/kata/index.html");
    assert_eq!(said(&course, &["doc"]), format!("{}\n", page.display()));
    assert_has(&fs::read_to_string(&page).unwrap(), &["The facade."]);

    course.put("browser", "#!/bin/sh\nprintf '%s' \"$1\" >\"$0.told\"\n");
    let browser = course.root.join("browser");
    fs::set_permissions(
        &browser,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let on_terminal = |browser: &str, words: &str| {
        let mut grader = course.grader(&["doc"]);
        grader
            .env("BROWSER", browser)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        let mut session = Session::spawn(grader).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(300)));
        session
            .expect(words)
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    };
    let whole = page.display().to_string();
    on_terminal(&browser.display().to_string(), "in your browser");
    assert_eq!(
        fs::read_to_string(course.root.join("browser.told")).unwrap(),
        whole
    );
    for without in ["", "/nowhere/browser"] {
        on_terminal(without, &format!("{whole}\r\n"));
    }

    course.put("crates/kata/src/lib.rs", "fn broken(\n");
    let output = course.run(&["doc"]);
    assert_eq!(output.status.code(), Some(2));
    assert_has(&stderr(&output), &["could not be built"]);
}

#[test]
fn bash_completes_commands_options_and_exercises() {
    let course = write("completions");
    course.put("grade.bash", &said(&course, &["completions", "bash"]));
    let completed = |line: &str| {
        let script = format!(
            "source grade.bash; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; complete -p grade.sh >/dev/null; _grade.sh ./grade.sh \"${{COMP_WORDS[COMP_CWORD]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["--norc", "-c", &script])
            .current_dir(&course.root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(completed("./grade.sh hi").trim(), "hint");
    assert_eq!(completed("./grade.sh solution --sp").trim(), "--spoil");
    assert_eq!(completed("./grade.sh hint fi").trim(), "first");
    assert_eq!(completed("./grade.sh sec").trim(), "second");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert_has(
            &said(&course, &["completions", shell]),
            &["hint", "watch", "solution"],
        );
    }
    assert_eq!(course.run(&["completions", "csh"]).status.code(), Some(2));
}

#[test]
fn every_command_shows_examples() {
    let course = write("help");
    for command in [
        "list",
        "next",
        "hint",
        "explain",
        "solution",
        "reset",
        "watch",
        "doc",
        "completions",
        "bench",
        "lock",
        "audit",
        "class",
    ] {
        let help = said(&course, &[command, "--help"]);
        assert_has(&help, &["Examples:\n", &format!("./grade.sh {command}")]);
    }
    assert_has(&said(&course, &["--help"]), &["Examples:\n  ./grade.sh"]);
}
