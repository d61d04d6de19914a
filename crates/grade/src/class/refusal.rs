//! What to do where bubblewrap is installed and makes no sandbox.

use std::path::Path;

/// What there is to know of the machine.
pub struct Circumstances<'a> {
    /// Whether the grader is root.
    pub root: bool,
    /// Where bubblewrap is.
    pub program: &'a Path,
    /// Whether it is setuid.
    pub setuid: bool,
    /// What bubblewrap said.
    pub said: &'a str,
    /// The value of a `sysctl`.
    pub setting: &'a dyn Fn(&str) -> Option<String>,
}

/// Says what has to be allowed, and by whom.
pub fn advice(found: &Circumstances<'_>) -> String {
    let is = |name: &str, value: &str| (found.setting)(name).is_some_and(|is| is.trim() == value);
    let allow = |name: &str, value: &str| {
        format!(
            "Ordinary users may make no namespaces here: allow it with `sudo sysctl -w {name}={value}`, or grade as root."
        )
    };
    let what = if found.said.to_lowercase().contains("unknown option") {
        "It is too old: install bubblewrap 0.8 or later.".to_owned()
    } else if found.said.contains("setpriv") {
        "As root, `class` needs /usr/bin/setpriv: install util-linux.".to_owned()
    } else if found.root {
        "A right to mount, or to make namespaces and networks, is missing, as it is for root in a container. Grade outside of the \
         container or in a virtual machine, or start the container with `--cap-add SYS_ADMIN --cap-add NET_ADMIN \
         --security-opt seccomp=unconfined --security-opt apparmor=unconfined`."
            .to_owned()
    } else if found.setuid {
        format!(
            "It is setuid: take that away with `sudo chmod u-s {}`, or grade as root.",
            found.program.display()
        )
    } else if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
        allow("kernel.apparmor_restrict_unprivileged_userns", "0")
    } else if is("kernel.unprivileged_userns_clone", "0") {
        allow("kernel.unprivileged_userns_clone", "1")
    } else if is("user.max_user_namespaces", "0") {
        allow("user.max_user_namespaces", "10000")
    } else if found.said.contains("mount proc") {
        "Parts of /proc are hidden, as they are in a container. Grade outside of the container, or start it with \
         `--security-opt systempaths=unconfined` (Docker) or `--security-opt unmask=ALL` (Podman)."
            .to_owned()
    } else {
        "Ordinary users may make no namespaces here, as in a container. Grade outside of the container, or as root where \
         root may make them."
            .to_owned()
    };
    format!(
        "{what} docs/classes.md says what a sandbox needs. Or say --trust if you trust every submission as you trust your \
         own code."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_way_out() {
        const NOTHING: (&str, &str) = ("", "");
        const REFUSED: &str = "bwrap: Creating new namespace failed: Operation not permitted";
        for (root, setuid, said, setting, expected) in [
            (true, false, REFUSED, NOTHING, "--cap-add SYS_ADMIN"),
            (true, true, REFUSED, NOTHING, "--cap-add SYS_ADMIN"),
            (
                true,
                false,
                "bwrap: execvp /usr/bin/setpriv: No such file or directory",
                NOTHING,
                "install util-linux",
            ),
            (
                false,
                true,
                "bwrap: cannot open",
                NOTHING,
                "chmod u-s /usr/bin/bwrap",
            ),
            (
                false,
                false,
                "bwrap: Unknown option --disable-userns",
                NOTHING,
                "0.8 or later",
            ),
            (
                false,
                false,
                REFUSED,
                ("kernel.apparmor_restrict_unprivileged_userns", "1\n"),
                "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            ),
            (
                false,
                false,
                REFUSED,
                ("kernel.unprivileged_userns_clone", "0\n"),
                "sysctl -w kernel.unprivileged_userns_clone=1",
            ),
            (
                false,
                false,
                REFUSED,
                ("user.max_user_namespaces", "0\n"),
                "sysctl -w user.max_user_namespaces=10000",
            ),
            (
                false,
                false,
                "bwrap: Can't mount proc on /newroot/proc: Operation not permitted",
                NOTHING,
                "systempaths=unconfined",
            ),
            (
                false,
                false,
                REFUSED,
                NOTHING,
                "Grade outside of the container",
            ),
        ] {
            let advice = advice(&Circumstances {
                root,
                program: Path::new("/usr/bin/bwrap"),
                setuid,
                said,
                setting: &|name| (name == setting.0).then(|| setting.1.to_owned()),
            });
            assert!(advice.contains(expected), "{said}: {advice}");
            assert!(advice.contains("--trust"), "{advice}");
        }
    }
}
