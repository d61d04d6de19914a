//! What the source of an exercise may name, found out before anything is built.
//!
//! No check sees what is only done in a build without optimisation. An exercise without model worlds may name anything else.
//!
//! A model sees what goes through `kata`. A lock, an atomic, a thread or a shared cell of `std` is invisible to it: what
//! it then accepts is not what it has explored. Source that behaves differently in a model than elsewhere is not what was
//! explored either. Both are refused, with the line and what to write instead.
//!
//! The look is at tokens, so macros are no hiding place for names that stand in them. It does not evaluate: what a macro
//! puts together from parts is refused where the parts can be seen (`std::$name`), and only there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};

mod asserts;

/// Something that must not stand there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where, from 1.
    pub line: usize,
    /// What, and what to write instead.
    pub message: String,
}

/// What is wrong with the source of a crate, in words; nothing if all of it may stand. `dir` is the crate's folder, shown
/// as `shown`; `allowed` are paths that its Cargo.toml permits nonetheless, such as `std::sync::mpsc`; `models` is whether it
/// has model worlds.
///
/// What cannot be read or is not Rust is left to the compiler.
pub fn look(dir: &Path, shown: &str, allowed: &[String], models: bool) -> Option<String> {
    let src = dir.join("src");
    let mut files = vec![src.join("lib.rs"), src.join("main.rs")];
    let mut modules = Vec::new();
    let mut next = 0;
    while let Some(file) = files.get(next).cloned() {
        next += 1;
        let Some(tokens) = read(&file) else { continue };
        // `mod inner;` in lib.rs is inner.rs beside it, in other.rs it is other/inner.rs.
        let stem = file.file_stem().unwrap_or_default();
        let is_root = stem == "lib" || stem == "main" || stem == "mod";
        let folder = if is_root {
            file.with_file_name("")
        } else {
            file.with_extension("")
        };
        for found in modules_of(&tokens, &folder) {
            if !files.contains(&found) {
                files.push(found);
            }
        }
        modules.push((file, tokens));
    }
    let all: Vec<&TokenStream> = modules.iter().map(|(_, tokens)| tokens).collect();
    let shared = Shared::of(&all);
    let mut said = Vec::new();
    for (index, (file, tokens)) in modules.iter().enumerate() {
        let place = file.strip_prefix(dir).unwrap_or(file).display();
        for Finding { line, message } in look_at(tokens, index, &shared, allowed, models) {
            said.push(format!("{shown}/{place}:{line}: {message}"));
        }
    }
    (!said.is_empty()).then(|| said.join("\n"))
}

fn read(file: &Path) -> Option<TokenStream> {
    if !file.is_file() {
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    text.parse().ok()
}

/// The files of modules that are declared without a body, also inside modules that have one.
fn modules_of(tokens: &TokenStream, folder: &Path) -> Vec<PathBuf> {
    let trees = without_tests(tokens);
    let mut files = Vec::new();
    for (at, tree) in trees.iter().enumerate() {
        let Some(TokenTree::Ident(name)) = trees.get(at + 1) else {
            continue;
        };
        if !is_word(tree, "mod") {
            continue;
        }
        let name = plain(name);
        match trees.get(at + 2) {
            Some(TokenTree::Punct(end)) if end.as_char() == ';' => {
                files.push(folder.join(format!("{name}.rs")));
                files.push(folder.join(name).join("mod.rs"));
            }
            Some(TokenTree::Group(body)) => {
                files.extend(modules_of(&body.stream(), &folder.join(name)));
            }
            _ => {}
        }
    }
    files
}

/// What may not stand there, line by line.
fn look_at(
    tokens: &TokenStream,
    file: usize,
    shared: &Shared,
    allowed: &[String],
    models: bool,
) -> BTreeSet<Finding> {
    let mut look = Look {
        file,
        shared,
        allowed,
        models,
        findings: BTreeSet::new(),
    };
    look.walk(tokens);
    look.findings
}

/// Types of `std` that let threads change what they share without any sign of it.
const CELLS: [&str; 6] = [
    "Cell",
    "RefCell",
    "OnceCell",
    "LazyCell",
    "UnsafeCell",
    "SyncUnsafeCell",
];

/// What cannot be said without being part of a trick.
const WORDS: [(&str, &str); 8] = [
    (
        "set_hook",
        "a model takes its picture of a failure in the panic hook: leave that alone",
    ),
    (
        "take_hook",
        "a model takes its picture of a failure in the panic hook: leave that alone",
    ),
    (
        "update_hook",
        "a model takes its picture of a failure in the panic hook: leave that alone",
    ),
    (
        "global_allocator",
        "the checks watch allocations: leave the allocator alone",
    ),
    ("link_section", "nothing here is to run before `main`"),
    ("no_mangle", "nothing here is to be called by its bare name"),
    (
        "export_name",
        "nothing here is to be called by its bare name",
    ),
    (
        "__engine",
        "that is the model's own engine: use what `kata` makes of it",
    ),
];

/// Declared in the stub of an exercise: the same functions in all worlds, `const` in one of them. Nothing else may depend on
/// the world.
const CONST_OUTSIDE_MODELS: &str = r#"macro_rules! const_outside_models {
    ($($(#[$attribute:meta])* pub const fn $name:ident() -> Self $body:block)*) => {$(
        $(#[$attribute])*
        #[cfg(not(any(feature = "loom", feature = "shuttle")))]
        pub const fn $name() -> Self $body

        $(#[$attribute])*
        #[cfg(any(feature = "loom", feature = "shuttle"))]
        pub fn $name() -> Self $body
    )*};
}"#;

struct Look<'a> {
    /// Which of the files.
    file: usize,
    shared: &'a Shared,
    allowed: &'a [String],
    models: bool,
    findings: BTreeSet<Finding>,
}

impl Look<'_> {
    /// What the models would not see.
    fn find(&mut self, span: Span, message: impl Into<String>) {
        if self.models {
            self.refuse(span, message);
        }
    }

    /// What no check would see.
    fn refuse(&mut self, span: Span, message: impl Into<String>) {
        self.findings.insert(Finding {
            line: span.start().line,
            message: message.into(),
        });
    }

    fn walk(&mut self, tokens: &TokenStream) {
        let trees = without_tests(tokens);
        let mut at = 0;
        while at < trees.len() {
            at += self.step(&trees, at).max(1);
        }
    }

    /// Looks at what begins at `at`, and says how many trees that was.
    fn step(&mut self, trees: &[TokenTree], at: usize) -> usize {
        let word = match &trees[at] {
            TokenTree::Group(group) => {
                if group.delimiter() == Delimiter::Bracket && at > 0 && is_attribute(trees, at) {
                    self.attribute(&group.stream());
                }
                self.walk(&group.stream());
                return 1;
            }
            TokenTree::Ident(word) => word,
            TokenTree::Punct(_) | TokenTree::Literal(_) => return 1,
        };
        let name = plain(word);
        let next = trees.get(at + 1);
        let inside_path = at > 1 && is_colons(&trees[at - 2..at]);
        self.word(word);
        match name.as_str() {
            "macro_rules" if is_const_outside_models(&trees[at..]) => return 4,
            "use" => {
                let end = trees[at..].iter().position(|tree| is_punct(tree, ';'));
                let end = end.map_or(trees.len(), |end| at + end);
                self.import(&mut Vec::new(), &trees[at + 1..end]);
                return end - at;
            }
            "extern" => self.external(trees, at),
            name if asserts::NAMES.contains(&name)
                && next.is_some_and(|next| is_punct(next, '!')) =>
            {
                self.debug_assertion(word, trees.get(at + 2));
            }
            "include" | "cfg" | "cfg_select" | "asm" | "naked_asm" | "global_asm"
            | "thread_local"
                if next.is_some_and(|next| is_punct(next, '!')) =>
            {
                self.call(word, trees, at, inside_path);
            }
            "std" | "core" | "kata" if !inside_path || begins_with_colons(trees, at) => {
                return self.path(trees, at);
            }
            _ => {}
        }
        1
    }

    /// `debug_assert!(…)`
    fn debug_assertion(&mut self, word: &Ident, assertion: Option<&TokenTree>) {
        let Some(TokenTree::Group(assertion)) = assertion else {
            return;
        };
        if let Some(change) = self.shared.functions.change_in(&assertion.stream()) {
            let message = format!(
                "`{change}` in a `{word}!`: a build with optimisation leaves it out, and then it is not done. Do it outside, and \
                 assert what came of it."
            );
            self.refuse(word.span(), message);
        }
    }

    /// A word that is wrong wherever it stands, or at this place.
    fn word(&mut self, word: &Ident) {
        let name = plain(word);
        if let Some((_, why)) = WORDS.iter().find(|(known, _)| *known == name) {
            self.find(word.span(), format!("`{name}`: {why}."));
        }
        if let Some(holder) = self.shared.holder_of(self.file, word)
            && !allows(self.allowed, &["std", "cell", &name])
        {
            let message = format!(
                "`{name}` of `std::cell` in `{holder}`, which `unsafe impl Sync` lets threads share: the models do not see \
                 what they do with it. Use `kata::cell::UnsafeCell`, or an atomic of `kata::sync::atomic`."
            );
            self.find(word.span(), message);
        }
    }

    /// `#[…]`
    fn attribute(&mut self, tokens: &TokenStream) {
        let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
        let Some(TokenTree::Ident(name)) = trees.first() else {
            return;
        };
        match plain(name).as_str() {
            "path" => self.find(
                name.span(),
                "`#[path]` hides where a module is: put it where `mod` alone finds it.",
            ),
            "cfg" | "cfg_attr" => self.condition(name, &trees[1..]),
            _ => {}
        }
    }

    /// `cfg(…)`: nothing may depend on the world, nor on how it is built or for what machine.
    fn condition(&mut self, word: &Ident, trees: &[TokenTree]) {
        let Some(TokenTree::Group(group)) = trees
            .iter()
            .find(|tree| matches!(tree, TokenTree::Group(_)))
        else {
            return;
        };
        let words: Vec<String> = words_of(&group.stream()).iter().map(plain).collect();
        let world =
            |word: &&String| ["feature", "loom", "shuttle", "path"].contains(&word.as_str());
        if let Some(on) = words.iter().find(world) {
            self.find(
                word.span(),
                format!("`{word}` on `{on}`: the code has to be the same in every world, or the models explore another one."),
            );
        } else if let Some(on) = words.iter().find(|word| is_of_the_build(word))
            && !(plain(word) == "cfg_attr" && is_layout_or_lints(&group.stream()))
            && !allows(self.allowed, &["cfg", on])
            && (self.models || ["debug_assertions", "overflow_checks"].contains(&on.as_str()))
        {
            self.refuse(
                word.span(),
                format!(
                    "`{word}` on `{on}`: the checks see the code of this build on this machine alone, and your users run \
                     another one. Write what is right in every build and on every machine; what a debug build is to ask \
                     besides says `debug_assert!`."
                ),
            );
        }
    }

    fn call(&mut self, word: &Ident, trees: &[TokenTree], at: usize, inside_path: bool) {
        match plain(word).as_str() {
            "include" => self.find(
                word.span(),
                "`include!` hides source: put it into a module.",
            ),
            "cfg" | "cfg_select" => self.condition(word, &trees[at + 2..]),
            "thread_local" => {
                if !(inside_path && at > 2 && is_word(&trees[at - 3], "kata")) {
                    self.find(
                        word.span(),
                        "`thread_local!` of `std`: a model's threads share it. Use `kata::thread_local!`.",
                    );
                }
            }
            _ => self.find(word.span(), "assembly: the models do not see what it does."),
        }
    }

    /// `extern crate …;` and `extern "C" { … }`
    fn external(&mut self, trees: &[TokenTree], at: usize) {
        let rest = &trees[at + 1..];
        let after_abi = match rest.first() {
            Some(TokenTree::Literal(_)) => &rest[1..],
            _ => rest,
        };
        if rest.first().is_some_and(|tree| is_word(tree, "crate")) {
            self.find(
                trees[at].span(),
                "`extern crate` gives a crate another name: name what you use in full, such as `std::ptr::null_mut`.",
            );
        } else if let Some(TokenTree::Group(group)) = after_abi.first()
            && group.delimiter() == Delimiter::Brace
        {
            self.find(
                trees[at].span(),
                "functions of another language: the models do not see what they do.",
            );
        }
    }

    /// A path in an expression or a type; how many trees it has.
    fn path(&mut self, trees: &[TokenTree], at: usize) -> usize {
        let mut segments = Vec::new();
        let mut end = at;
        loop {
            match trees.get(end) {
                Some(TokenTree::Ident(segment)) => {
                    self.word(segment);
                    segments.push(plain(segment));
                }
                Some(TokenTree::Punct(punct)) if punct.as_char() == '$' => {
                    segments.push("$".to_owned());
                    self.judge(&segments, trees[at].span());
                    return end + 1 - at;
                }
                // `std::mem::<…>`, or the end of a path that a macro is to go on with.
                _ => break,
            }
            end += 1;
            if !trees.get(end..end + 2).is_some_and(is_colons) {
                break;
            }
            end += 2;
        }
        if segments.len() > 1 && trees.get(end).is_some_and(|tree| is_punct(tree, '!')) {
            // The macro's name is looked at again, as one.
            end -= 1;
        } else if segments.len() > 1 || segments[0] == "std" {
            self.judge(&segments, trees[at].span());
        }
        end - at
    }

    /// A tree of imports, below the path `prefix`.
    fn import(&mut self, prefix: &mut Vec<String>, trees: &[TokenTree]) {
        let depth = prefix.len();
        let mut span = None;
        let mut at = 0;
        while let Some(tree) = trees.get(at) {
            span.get_or_insert(tree.span());
            match tree {
                TokenTree::Ident(word) if plain(word) == "as" => at += 1,
                TokenTree::Ident(word) => {
                    self.word(word);
                    prefix.push(plain(word));
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => prefix.push("*".to_owned()),
                TokenTree::Punct(punct) if punct.as_char() == '$' => prefix.push("$".to_owned()),
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    self.import_one(prefix, span);
                    prefix.truncate(depth);
                    span = None;
                }
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    self.import(prefix, &inner);
                    prefix.truncate(depth);
                    // What follows is a comma or nothing.
                    at += 1;
                    span = None;
                }
                _ => {}
            }
            at += 1;
        }
        self.import_one(prefix, span);
        prefix.truncate(depth);
    }

    fn import_one(&mut self, path: &[String], span: Option<Span>) {
        let Some(span) = span else { return };
        let path = path.strip_suffix(&["self".to_owned()][..]).unwrap_or(path);
        self.judge(path, span);
    }

    fn judge(&mut self, path: &[String], span: Span) {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        if allows(self.allowed, &words) {
            return;
        }
        if let Some(message) = objection(&words) {
            self.find(span, message);
        }
    }
}

/// Whether the exercise's Cargo.toml permits the path, or something that it lies in.
fn allows(allowed: &[String], path: &[&str]) -> bool {
    let path = match path {
        ["core", rest @ ..] => [&["std"], rest].concat(),
        path => path.to_vec(),
    };
    allowed.iter().any(|allowed| {
        let allowed: Vec<&str> = allowed.split("::").collect();
        path.starts_with(&allowed)
    })
}

/// Names in `kata` under the path that they have in `std`.
const KATA: [&str; 38] = [
    "sync::Arc",
    "sync::Condvar",
    "sync::Mutex",
    "sync::MutexGuard",
    "sync::RwLock",
    "sync::RwLockReadGuard",
    "sync::RwLockWriteGuard",
    "sync::WaitTimeoutResult",
    "sync::atomic",
    "sync::atomic::AtomicBool",
    "sync::atomic::AtomicI8",
    "sync::atomic::AtomicI16",
    "sync::atomic::AtomicI32",
    "sync::atomic::AtomicI64",
    "sync::atomic::AtomicIsize",
    "sync::atomic::AtomicPtr",
    "sync::atomic::AtomicU8",
    "sync::atomic::AtomicU16",
    "sync::atomic::AtomicU32",
    "sync::atomic::AtomicU64",
    "sync::atomic::AtomicUsize",
    "sync::atomic::compiler_fence",
    "sync::atomic::fence",
    "sync",
    "thread",
    "thread::AccessError",
    "thread::Builder",
    "thread::JoinHandle",
    "thread::LocalKey",
    "thread::Thread",
    "thread::ThreadId",
    "thread::current",
    "thread::park",
    "thread::spawn",
    "thread::yield_now",
    "hint",
    "hint::spin_loop",
    "cell::UnsafeCell",
];

/// Why a path may not stand there; nothing if it may.
fn objection(path: &[&str]) -> Option<String> {
    let (root, rest) = path.split_first()?;
    match *root {
        "kata" => {
            return match rest {
                [] | ["*"] => Some(
                    "`kata` under another name, or all of it: name what you use, such as `kata::sync::Mutex`.".to_owned(),
                ),
                ["check", ..] => Some("`kata::check` is for checks.".to_owned()),
                _ => None,
            };
        }
        "std" | "core" => {}
        _ => return None,
    }
    let whole = path.join("::");
    let instead = |advice: &str| Some(format!("`{whole}`: {advice}"));
    let unseen = || {
        let name = rest.join("::");
        if KATA.contains(&name.as_str()) {
            instead(&format!("the models do not see it. Use `kata::{name}`."))
        } else {
            instead("the models do not see it, and `kata` has nothing like it.")
        }
    };
    if rest.contains(&"$") {
        return instead("a macro must not put a path together.");
    }
    match rest {
        [] | ["*"] => instead("name what you use in full, such as `std::ptr::null_mut`."),
        [
            "sync",
            "PoisonError" | "LockResult" | "TryLockError" | "TryLockResult",
            ..,
        ] => None,
        ["sync", "atomic", "Ordering", ..] => None,
        ["thread", "Result" | "panicking"] => None,
        ["sync" | "thread", ..] | ["hint"] | ["hint", "*" | "spin_loop"] => unseen(),
        ["thread_local"] => instead("a model's threads share it. Use `kata::thread_local`."),
        ["cell", "UnsafeCell" | "SyncUnsafeCell", ..] => {
            instead("the models do not see what threads do with it. Use `kata::cell::UnsafeCell`.")
        }
        ["cell"] | ["cell", "*"] => {
            instead("name the type that you use, such as `std::cell::Cell`.")
        }
        ["process", "abort"] => None,
        ["process"] | ["process", "*"] => {
            instead("name what you use; that is `std::process::abort` at most.")
        }
        ["process" | "env" | "fs" | "net" | "os", ..] => {
            instead("what is built here has no use for the world outside of it.")
        }
        ["arch" | "intrinsics" | "simd", ..] => instead("the models do not see what it does."),
        _ => None,
    }
}

/// What is known of all files together.
struct Shared {
    /// The places of cells of `std` in types that threads share by force, with the name of that type.
    cells: BTreeMap<Place, String>,
    functions: asserts::Functions,
}

/// File, line and column.
type Place = (usize, usize, usize);

fn place(file: usize, word: &Ident) -> Place {
    let start = word.span().start();
    (file, start.line, start.column)
}

impl Shared {
    fn of(files: &[&TokenStream]) -> Self {
        let mut names = Names::default();
        for (index, file) in files.iter().enumerate() {
            names.file = index;
            names.collect(file);
        }
        let mut cells = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let roots = names.shared.iter();
        let mut open: Vec<(String, String)> =
            roots.map(|name| (name.clone(), name.clone())).collect();
        while let Some((name, holder)) = open.pop() {
            // Of `Arc<…>` and the like only what stands in the definition of an own type matters.
            let Some(definition) = names.definitions.get(&name) else {
                continue;
            };
            if !seen.insert(name.clone()) {
                continue;
            }
            let arguments = names.arguments.get(&name);
            for (file, word) in definition.iter().chain(arguments.into_iter().flatten()) {
                if names.cells.contains(&plain(word)) {
                    cells.insert(place(*file, word), holder.clone());
                } else {
                    open.push((plain(word), holder.clone()));
                }
            }
        }
        Self {
            cells,
            functions: asserts::Functions::of(files),
        }
    }

    fn holder_of(&self, file: usize, word: &Ident) -> Option<&str> {
        self.cells.get(&place(file, word)).map(String::as_str)
    }
}

#[derive(Default)]
struct Names {
    /// Which of the files is being looked at.
    file: usize,
    /// What the cells of `std` are called here.
    cells: BTreeSet<String>,
    /// Types with an `unsafe impl Sync`.
    shared: BTreeSet<String>,
    /// The words in the definition of a type.
    definitions: BTreeMap<String, Vec<(usize, Ident)>>,
    /// The words between the angle brackets after a type.
    arguments: BTreeMap<String, Vec<(usize, Ident)>>,
}

impl Names {
    fn collect(&mut self, tokens: &TokenStream) {
        let trees = without_tests(tokens);
        for (at, tree) in trees.iter().enumerate() {
            let word = match tree {
                TokenTree::Group(group) => {
                    self.collect(&group.stream());
                    continue;
                }
                TokenTree::Ident(word) => word,
                _ => continue,
            };
            let name = plain(word);
            let rest = &trees[at + 1..];
            match name.as_str() {
                "use" => {
                    let end = rest.iter().position(|tree| is_punct(tree, ';'));
                    let words = words_of_trees(&rest[..end.unwrap_or(rest.len())]);
                    self.import(&words.iter().map(plain).collect::<Vec<_>>());
                }
                "cell" if at > 2 && is_colons(&trees[at - 2..at]) => {
                    if let Some(TokenTree::Ident(cell)) = rest.get(2)
                        && ["std", "core"]
                            .iter()
                            .any(|root| is_word(&trees[at - 3], root))
                    {
                        self.cells.insert(plain(cell));
                    }
                }
                "struct" | "enum" | "union" | "type" => {
                    if let Some(TokenTree::Ident(defined)) = rest.first() {
                        let end = rest.iter().position(|tree| {
                            is_punct(tree, ';')
                                || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
                        });
                        let body = &rest[1..end.map_or(rest.len(), |end| end + 1)];
                        let words = words_of_trees(body).into_iter();
                        self.definitions
                            .entry(plain(defined))
                            .or_default()
                            .extend(words.map(|word| (self.file, word)));
                    }
                }
                "unsafe" if rest.first().is_some_and(|tree| is_word(tree, "impl")) => {
                    self.shared.extend(shared_type(&rest[1..]));
                }
                _ => {
                    let words = angle_brackets(rest);
                    if !words.is_empty() {
                        let words = words.into_iter().map(|word| (self.file, word));
                        self.arguments.entry(name).or_default().extend(words);
                    }
                }
            }
        }
    }

    /// `std cell Cell as C RefCell`: what cells are called after an import.
    fn import(&mut self, words: &[String]) {
        let from_std = words
            .first()
            .is_some_and(|root| root == "std" || root == "core");
        if !from_std || !words.iter().any(|word| word == "cell") {
            return;
        }
        for (at, word) in words.iter().enumerate() {
            if CELLS.contains(&word.as_str()) {
                let renamed = words.get(at + 1).is_some_and(|next| next == "as");
                let name = if renamed {
                    words.get(at + 2)
                } else {
                    Some(word)
                };
                self.cells.extend(name.cloned());
            }
        }
    }
}

/// The type of `unsafe impl<…> Sync for Type<…>`, without what follows `unsafe impl`.
fn shared_type(trees: &[TokenTree]) -> Option<String> {
    let end = trees.iter().position(
        |tree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace),
    )?;
    let head = &trees[..end];
    let by = head.iter().position(|tree| is_word(tree, "for"))?;
    if !is_word(head.get(by.checked_sub(1)?)?, "Sync") {
        return None;
    }
    // The last segment of the path before its arguments.
    let mut last = None;
    for tree in &head[by + 1..] {
        match tree {
            TokenTree::Ident(word) if plain(word) == "where" => break,
            TokenTree::Ident(word) => last = Some(plain(word)),
            TokenTree::Punct(punct) if punct.as_char() == ':' => {}
            _ => break,
        }
    }
    last
}

/// The words in `<…>`, if `trees` begins with that.
fn angle_brackets(trees: &[TokenTree]) -> Vec<Ident> {
    let turbofish = trees.len() > 2 && is_colons(&trees[..2]);
    let trees = if turbofish { &trees[2..] } else { trees };
    if !trees.first().is_some_and(|tree| is_punct(tree, '<')) {
        return Vec::new();
    }
    let mut depth = 0_usize;
    for (at, tree) in trees.iter().enumerate() {
        let after_minus = at > 0 && is_punct(&trees[at - 1], '-');
        if is_punct(tree, '<') {
            depth += 1;
        } else if is_punct(tree, '>') && !after_minus {
            depth -= 1;
            if depth == 0 {
                return words_of_trees(&trees[..at]);
            }
        } else if is_punct(tree, ';')
            || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
        {
            break;
        }
    }
    // "Less than".
    Vec::new()
}

/// All words, however deep, but for those that `PhantomData` only mentions.
fn words_of(tokens: &TokenStream) -> Vec<Ident> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    words_of_trees(&trees)
}

fn words_of_trees(trees: &[TokenTree]) -> Vec<Ident> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(tree) = trees.get(at) {
        at += 1;
        match tree {
            TokenTree::Ident(word) if plain(word) == "PhantomData" => {
                let mentioned = angle_brackets(&trees[at..]).len();
                let mut skipped = 0;
                while skipped < mentioned && at < trees.len() {
                    skipped += words_of_trees(std::slice::from_ref(&trees[at])).len();
                    at += 1;
                }
            }
            TokenTree::Ident(word) => words.push(word.clone()),
            TokenTree::Group(group) => words.extend(words_of(&group.stream())),
            _ => {}
        }
    }
    words
}

/// The trees without items for the learner's own tests, which the grader never builds.
fn without_tests(tokens: &TokenStream) -> Vec<TokenTree> {
    let trees: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut kept = Vec::with_capacity(trees.len());
    let mut at = 0;
    while at < trees.len() {
        if is_punct(&trees[at], '#')
            && let Some(TokenTree::Group(group)) = trees.get(at + 1)
            && is_test_only(&group.stream())
        {
            let ends = |tree: &TokenTree| {
                is_punct(tree, ';')
                    || matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
            };
            let end = trees[at + 2..].iter().position(ends);
            at = end.map_or(trees.len(), |end| at + 2 + end + 1);
        } else {
            kept.push(trees[at].clone());
            at += 1;
        }
    }
    kept
}

/// Whether a `cfg` of this name is decided by the build or the machine. How wide a pointer is and which atomics there are may
/// be asked: other types are needed there.
fn is_of_the_build(name: &str) -> bool {
    let free = ["target_pointer_width", "target_has_atomic"];
    let build = [
        "debug_assertions",
        "overflow_checks",
        "ub_checks",
        "panic",
        "miri",
        "unix",
        "windows",
    ];
    build.contains(&name) || name.starts_with("target_") && !free.contains(&name)
}

/// Whether all that `cfg_attr(condition, …)` adds is of a kind that changes nothing a model could see.
fn is_layout_or_lints(condition_and_attributes: &TokenStream) -> bool {
    const HARMLESS: [&str; 6] = ["repr", "allow", "expect", "warn", "doc", "inline"];
    let trees: Vec<TokenTree> = condition_and_attributes.clone().into_iter().collect();
    let mut attributes = trees.split(|tree| is_punct(tree, ',')).skip(1).peekable();
    attributes.peek().is_some()
        && attributes.all(|attribute| match attribute.first() {
            Some(TokenTree::Ident(name)) => HARMLESS.contains(&plain(name).as_str()),
            Some(_) => false,
            None => true,
        })
}

/// `cfg(test)`
fn is_test_only(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

fn is_const_outside_models(trees: &[TokenTree]) -> bool {
    let expected: TokenStream = CONST_OUTSIDE_MODELS.parse().unwrap_or_default();
    let expected: Vec<String> = expected.into_iter().map(|tree| tree.to_string()).collect();
    let found = trees.iter().take(expected.len());
    found.map(ToString::to_string).eq(expected)
}

/// Whether the bracket at `at` belongs to `#[…]` or `#![…]`.
fn is_attribute(trees: &[TokenTree], at: usize) -> bool {
    is_punct(&trees[at - 1], '#')
        || at > 1 && is_punct(&trees[at - 1], '!') && is_punct(&trees[at - 2], '#')
}

fn plain(word: &Ident) -> String {
    let word = word.to_string();
    word.strip_prefix("r#")
        .map_or_else(|| word.clone(), str::to_owned)
}

fn is_word(tree: &TokenTree, expected: &str) -> bool {
    matches!(tree, TokenTree::Ident(word) if plain(word) == expected)
}

fn is_punct(tree: &TokenTree, expected: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == expected)
}

fn is_colons(trees: &[TokenTree]) -> bool {
    trees.len() == 2 && trees.iter().all(|tree| is_punct(tree, ':'))
}

/// Whether the word at `at` stands after `::` with which a path begins.
fn begins_with_colons(trees: &[TokenTree], at: usize) -> bool {
    match trees.get(at.wrapping_sub(3)) {
        Some(TokenTree::Ident(before)) => [
            "use", "as", "dyn", "mut", "in", "return", "impl", "for", "where", "const", "else",
            "match", "if",
        ]
        .contains(&plain(before).as_str()),
        Some(TokenTree::Punct(before)) => before.as_char() != '>',
        Some(TokenTree::Group(_)) | Some(TokenTree::Literal(_)) | None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a crate of one file.
    fn said(source: &str) -> Vec<Finding> {
        let tokens: TokenStream = source.parse().expect("it consists of tokens");
        let shared = Shared::of(&[&tokens]);
        look_at(
            &tokens,
            0,
            &shared,
            &["std::sync::OnceLock".to_owned()],
            true,
        )
        .into_iter()
        .collect()
    }

    #[test]
    fn what_the_models_do_not_see_is_refused() {
        for (source, line, words) in [
            ("\nuse std::sync::Mutex;", 2, "Use `kata::sync::Mutex`"),
            (
                "use std::sync::{PoisonError, mpsc};",
                1,
                "`std::sync::mpsc`: the models do not see it, and",
            ),
            (
                "use std::{ptr,\n sync::{\n atomic::{AtomicU8, Ordering}}};",
                3,
                "`kata::sync::atomic::AtomicU8`",
            ),
            ("use std::sync;", 1, "Use `kata::sync`"),
            ("use std::sync::{self};", 1, "Use `kata::sync`"),
            ("use std::sync::*;", 1, "`std::sync::*`"),
            ("use std::sync as quiet;", 1, "Use `kata::sync`"),
            (
                "use core::sync::atomic as words;",
                1,
                "Use `kata::sync::atomic`",
            ),
            ("use std as s;", 1, "`std`: name what you use in full"),
            ("use ::std as s;", 1, "`std`: name what you use in full"),
            ("use r#std::sync::Mutex;", 1, "Use `kata::sync::Mutex`"),
            ("extern crate std as s;", 1, "`extern crate`"),
            ("extern crate alloc;", 1, "`extern crate`"),
            (
                "fn f() { let x = ::std::sync::Mutex::new(1); }",
                1,
                "`std::sync::Mutex::new`",
            ),
            (
                "fn f(x: &std::sync::atomic::AtomicBool) {}",
                1,
                "`kata::sync::atomic::AtomicBool`",
            ),
            (
                "fn f() {\n std::thread::sleep(D)\n}",
                2,
                "`std::thread::sleep`",
            ),
            (
                "fn f() { std::hint::spin_loop() }",
                1,
                "Use `kata::hint::spin_loop`",
            ),
            (
                "fn f() { std::process::exit(0) }",
                1,
                "`std::process::exit`",
            ),
            (
                "use std::process::{abort, exit};",
                1,
                "`std::process::exit`",
            ),
            ("fn f() { std::env::var(\"X\"); }", 1, "`std::env::var`"),
            (
                "use std::cell::UnsafeCell;",
                1,
                "Use `kata::cell::UnsafeCell`",
            ),
            (
                "thread_local! { static X: u8 = 0; }",
                1,
                "Use `kata::thread_local!`",
            ),
            (
                "std::thread_local! { static X: u8 = 0; }",
                1,
                "Use `kata::thread_local!`",
            ),
            (
                "vec![std::sync::Mutex::new(1)];",
                1,
                "`std::sync::Mutex::new`",
            ),
            (
                "macro_rules! m { () => { std::sync::Mutex::new(1) } }",
                1,
                "`std::sync::Mutex::new`",
            ),
            (
                "macro_rules! m { ($n:ident) => { std::$n::Mutex } }",
                1,
                "put a path together",
            ),
            (
                "macro_rules! m { ($n:ident) => { use std::$n::Mutex; } }",
                1,
                "put a path together",
            ),
            ("m!(std, sync);", 1, "`std`: name what you use in full"),
            (
                "#[cfg(feature = \"loom\")] fn f() {}",
                1,
                "`cfg` on `feature`",
            ),
            (
                "#![cfg_attr(not(feature = \"loom\"), path = \"x\")]",
                1,
                "`cfg_attr` on `feature`",
            ),
            (
                "fn f() -> bool { cfg!(feature = \"shuttle\") }",
                1,
                "`cfg` on `feature`",
            ),
            (
                "fn f() -> bool { cfg!(any(debug_assertions, not(target_arch = \"x86_64\"))) }",
                1,
                "`cfg` on `debug_assertions`: the checks see the code of this build on this machine alone",
            ),
            (
                "fn f(x: &X) { debug_assert!(x.0.swap(true, SeqCst)) }",
                1,
                "`swap` in a `debug_assert!`: a build with optimisation leaves it out",
            ),
            (
                "fn f(x: &X) {\n debug_assert_eq!(1, x.leave()) }\n impl X { fn leave(&self) { g(self) } }\n\
                 fn g(x: &X) { x.0.store(1, Release) }",
                2,
                "`leave` in a `debug_assert_eq!`",
            ),
            (
                "fn f(x: &mut X) { debug_assert!(x.next().is_none()) } impl X { fn next(&mut self) {} }",
                1,
                "`next` in a `debug_assert!`",
            ),
            (
                "fn f(x: &X) { debug_assert!(x.0.borrow_mut().pop().is_none()) }",
                1,
                "in a `debug_assert!`",
            ),
            (
                "fn f() {\n #[cfg(not(debug_assertions))]\n g() }",
                2,
                "`cfg` on `debug_assertions`",
            ),
            (
                "#[cfg(target_os = \"linux\")] fn f() {}",
                1,
                "`cfg` on `target_os`",
            ),
            (
                "#[cfg_attr(target_arch = \"x86_64\", repr(C), cfg(unix))] struct A;",
                1,
                "`cfg_attr` on `target_arch`",
            ),
            ("std::include!(\"../imp.rs\");", 1, "`include!`"),
            (
                "fn f() -> bool { ::core::cfg!(feature = \"loom\") }",
                1,
                "`cfg` on `feature`",
            ),
            ("#[path = \"../imp.rs\"] mod imp;", 1, "`#[path]`"),
            ("include!(\"../imp.rs\");", 1, "`include!`"),
            (
                "extern \"C\" { fn getpid() -> i32; }",
                1,
                "another language",
            ),
            (
                "unsafe extern \"C\" { fn getpid() -> i32; }",
                1,
                "another language",
            ),
            (
                "#[unsafe(link_section = \".init_array\")] static X: u8 = 0;",
                1,
                "before `main`",
            ),
            ("fn f() { std::panic::set_hook(x) }", 1, "panic hook"),
            ("core::arch::asm!(\"nop\");", 1, "assembly"),
            ("use kata::check::skip;", 1, "`kata::check` is for checks"),
            ("use kata as k;", 1, "`kata` under another name"),
            ("fn f() { kata::__engine::stop() }", 1, "own engine"),
        ] {
            let said = said(source);
            assert!(
                said.iter()
                    .any(|finding| finding.line == line && finding.message.contains(words)),
                "{source}\n{said:#?}"
            );
        }
    }

    #[test]
    fn what_the_models_see_or_nobody_shares_is_accepted() {
        for source in [
            "use std::sync::PoisonError;",
            "use std::sync::atomic::Ordering::{self, Acquire};",
            "use std::sync::{LockResult, TryLockError, atomic::Ordering};",
            "use std::{mem::{self, ManuallyDrop}, ops::Deref, ptr};",
            "use std::process::abort;",
            "use std::sync::OnceLock;",
            "fn f() { if std::thread::panicking() {} }",
            "use std::panic::{self, AssertUnwindSafe, catch_unwind};",
            "use kata::{cell::UnsafeCell, hint, sync::{Arc, Mutex}, thread};",
            "fn f() { kata::thread::yield_now() }",
            "kata::thread_local! { static X: std::cell::Cell<u8> = const { std::cell::Cell::new(0) }; }",
            "struct Producer<T> { ring: Arc<Ring<T>>, seen: std::cell::Cell<usize> }\n\
             struct Ring<T>(T); unsafe impl<T: Send> Sync for Ring<T> {}",
            "use std::cell::Cell; struct Guard<'a>(&'a u8, PhantomData<Cell<u8>>); unsafe impl Sync for Guard<'_> {}",
            "#[cfg(test)] mod tests { use std::sync::Mutex; }",
            "#[cfg(target_pointer_width = \"64\")] fn f() {}",
            "#[cfg_attr(any(target_arch = \"x86_64\", target_arch = \"aarch64\"), repr(align(128)))] struct Padded(u8);",
            "fn f(n: u8) { debug_assert!(n > 0); }",
            "fn f(x: &X) { debug_assert!(x.0.load(Relaxed), \"{}\", x.len()); } impl X { fn len(&self) { self.0.load(Relaxed) } }",
            "impl X { fn f(&self) { debug_assert!(self.is_empty()) } fn is_empty(&self) -> bool { let mut v = self.all(); v.pop().is_none() } }",
            "#[derive(Debug)] struct Core { core: u8 } fn f(core: Core) -> u8 { core.core }",
            "fn f(a: usize, b: usize) -> bool { a < b }",
            "extern \"C\" fn f() {}",
            "// std::sync::Mutex\nfn f() -> &'static str { \"std::sync::Mutex\" }",
            CONST_OUTSIDE_MODELS,
        ] {
            assert_eq!(said(source), [], "{source}");
        }
    }

    #[test]
    fn a_cell_in_what_threads_share_is_refused() {
        for source in [
            "use std::cell::Cell;\nstruct Lock { n: Cell<u8> }\nunsafe impl Sync for Lock {}",
            "use std::cell::{Cell as Slot};\nstruct Lock { n: Slot<u8> }\nunsafe impl Sync for Lock {}",
            "struct Lock(Inner);\nstruct Inner { n: std::cell::RefCell<u8> }\nunsafe impl Sync for Lock {}",
            "struct Share<T>(T);\nstatic X: Share<std::cell::Cell<u8>> = todo!();\nunsafe impl<T> Sync for Share<T> {}",
            "type Slot =\nstd::cell::Cell<u8>; struct Lock(Slot);\nunsafe impl<'a, T: 'a> core::marker::Sync for self::Lock {}",
        ] {
            let said = said(source);
            let [finding] = &said[..] else {
                panic!("{source}\n{said:#?}")
            };
            assert_eq!(finding.line, 2, "{source}");
            assert!(
                finding
                    .message
                    .contains("which `unsafe impl Sync` lets threads share")
            );
        }
    }

    #[test]
    fn every_module_is_looked_at_and_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let wrong = "\nuse std::sync::Mutex;";
        put("src/lib.rs", "mod one; pub mod two { mod three; }");
        put("src/one.rs", &format!("mod four;{wrong}"));
        put("src/one/four.rs", wrong);
        put("src/two/three/mod.rs", wrong);
        put("src/unused.rs", wrong);
        let said = look(dir.path(), "exercises/x", &[], true).unwrap();
        let places: BTreeSet<&str> = said
            .lines()
            .map(|line| line.split_once(": ").unwrap().0)
            .collect();
        let expected = ["one.rs:2", "one/four.rs:2", "two/three/mod.rs:2"];
        let expected = expected.map(|place| format!("exercises/x/src/{place}"));
        assert_eq!(places, expected.iter().map(String::as_str).collect());
    }

    /// Every stub, every solution and every alternative of the course.
    #[test]
    fn all_that_is_right_may_stand() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let lock = crate::lock::Lock::read(&root).unwrap();
        let course = crate::course::Course::read(&root, &lock).unwrap();
        let mut seen = 0;
        for exercise in &course.exercises {
            let solution = root.join("solutions").join(exercise.path());
            let mut crates = vec![exercise.package.dir.clone(), solution.clone()];
            let scratch = tempfile::tempdir().unwrap();
            for file in fs::read_dir(solution.join("alternatives"))
                .unwrap()
                .flatten()
            {
                let dir = scratch.path().join(file.file_name());
                fs::create_dir_all(dir.join("src")).unwrap();
                fs::copy(file.path(), dir.join("src/lib.rs")).unwrap();
                crates.push(dir);
            }
            for dir in crates {
                let shown = dir.display().to_string();
                let said = look(&dir, &shown, &exercise.std, exercise.has_models());
                assert_eq!(said, None);
                seen += 1;
            }
        }
        assert!(seen > 40, "only {seen} were looked at");
    }
}
