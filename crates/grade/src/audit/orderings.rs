//! Every memory ordering one step weaker, every fence weaker or gone: one variant each.
//!
//! Which orderings an argument may have is known from the method's name, so that no variant is invalid by itself: a
//! `load` that releases would be rejected by every test and say nothing about any of them.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::generated::{Generated, Kind, is_assertion, is_only_for_tests};
use super::source::{Edit, line_of};

/// An ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Relaxed,
    Acquire,
    Release,
    AcqRel,
    SeqCst,
}

impl Level {
    const ALL: [Self; 5] = [
        Self::Relaxed,
        Self::Acquire,
        Self::Release,
        Self::AcqRel,
        Self::SeqCst,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Relaxed => "Relaxed",
            Self::Acquire => "Acquire",
            Self::Release => "Release",
            Self::AcqRel => "AcqRel",
            Self::SeqCst => "SeqCst",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// What an ordering is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Load,
    Store,
    ReadModifyWrite,
    Fence,
    /// Handed to something that is not an atomic's own method.
    Unknown,
}

/// One step weaker, as far as the role allows.
fn weaker(level: Level, role: Role) -> &'static [Level] {
    use Level::{AcqRel, Acquire, Relaxed, Release, SeqCst};
    match (role, level) {
        (_, Relaxed) => &[],
        (Role::Load, SeqCst) => &[Acquire],
        (Role::Load, Acquire) => &[Relaxed],
        (Role::Store, SeqCst) => &[Release],
        (Role::Store, Release) => &[Relaxed],
        (Role::Load | Role::Store, _) => &[],
        // The halves of a fence follow once the whole has been found too strong.
        (Role::Fence, SeqCst) => &[AcqRel],
        (Role::Fence, Acquire | Release) => &[],
        (Role::ReadModifyWrite | Role::Unknown, SeqCst) => &[AcqRel, Acquire, Release],
        (_, AcqRel) => &[Acquire, Release],
        (_, Acquire | Release) => &[Relaxed],
    }
}

/// The roles of a method's arguments, the receiver not counted.
fn roles(method: &str) -> Option<&'static [Option<Role>]> {
    use Role::{Load, ReadModifyWrite, Store};
    Some(match method {
        "load" => &[Some(Load)],
        "store" => &[None, Some(Store)],
        "swap" => &[None, Some(ReadModifyWrite)],
        "compare_exchange" | "compare_exchange_weak" => {
            &[None, None, Some(ReadModifyWrite), Some(Load)]
        }
        "fetch_update" | "try_update" | "update" => &[Some(ReadModifyWrite), Some(Load)],
        _ if method.starts_with("fetch_") => &[None, Some(ReadModifyWrite)],
        _ => return None,
    })
}

/// All variants of `source` with a weaker ordering, in the order of the text.
///
/// # Errors
/// If `source` is no Rust.
pub fn weakenings(source: &str) -> syn::Result<Vec<Generated>> {
    let file = syn::parse_file(source)?;
    let mut imports = Imports::default();
    imports.visit_file(&file);
    let mut finder = Finder {
        imports: &imports,
        role: Role::Unknown,
        sites: Vec::new(),
        uses_of_constants: BTreeMap::new(),
        fences: Vec::new(),
    };
    finder.visit_file(&file);

    let mut found = Vec::new();
    for site in &finder.sites {
        let uses = site
            .constant
            .as_ref()
            .and_then(|name| finder.uses_of_constants.get(name));
        for &level in weaker(site.level, site.role) {
            let allowed = uses
                .into_iter()
                .flatten()
                .all(|&role| weaker(site.level, role).contains(&level));
            if allowed {
                found.push(variant(source, site, level, &imports));
            }
        }
    }
    for fence in finder.fences {
        found.push(Generated {
            kind: Kind::Ordering,
            line: line_of(source, fence.start),
            what: "fence removed".to_owned(),
            becomes: String::new(),
            edits: vec![Edit::new(fence, "()")],
        });
    }
    found.sort_by_key(|variant| variant.edits[0].range.start);
    Ok(found)
}

fn variant(source: &str, site: &Site, level: Level, imports: &Imports) -> Generated {
    let with = match &site.bare {
        // A name that was imported may need another one that was not.
        Some(prefix) if !imports.has(prefix, level) => format!("{prefix}::{}", level.name()),
        _ => imports.spelled(level, site.bare.as_deref()),
    };
    Generated {
        kind: Kind::Ordering,
        line: line_of(source, site.range.start),
        what: format!("{} to {}", site.level.name(), level.name()),
        becomes: level.name().to_owned(),
        edits: vec![Edit::new(site.range.clone(), with)],
    }
}

/// The orderings, and the type itself, that `use` made known by other paths.
#[derive(Default)]
struct Imports {
    /// Name here, level, path of the type.
    levels: Vec<(String, Level, String)>,
    /// Names of the type `Ordering`.
    types: Vec<String>,
}

impl Imports {
    fn level(&self, name: &str) -> Option<(Level, &str)> {
        self.levels
            .iter()
            .find(|(known, ..)| known == name)
            .map(|(_, level, prefix)| (*level, prefix.as_str()))
    }

    fn has(&self, prefix: &str, level: Level) -> bool {
        self.levels
            .iter()
            .any(|(_, known, path)| *known == level && path == prefix)
    }

    /// How `level` is written at a place where its type's path is not.
    fn spelled(&self, level: Level, prefix: Option<&str>) -> String {
        let imported = self
            .levels
            .iter()
            .find(|(_, known, path)| *known == level && Some(path.as_str()) == prefix);
        imported.map_or_else(|| level.name().to_owned(), |(name, ..)| name.clone())
    }

    fn is_type(&self, name: &str) -> bool {
        name == "Ordering" || self.types.iter().any(|known| known == name)
    }

    fn add(&mut self, tree: &syn::UseTree, path: &[String]) {
        let is_type = |path: &[String]| path.last().is_some_and(|last| last == "Ordering");
        match tree {
            syn::UseTree::Path(tree) => {
                let mut path = path.to_vec();
                path.push(tree.ident.to_string());
                self.add(&tree.tree, &path);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add(tree, path);
                }
            }
            syn::UseTree::Name(tree) => {
                let name = tree.ident.to_string();
                if let Some(level) = Level::named(&name)
                    && is_type(path)
                {
                    self.levels.push((name, level, path.join("::")));
                }
            }
            syn::UseTree::Rename(tree) => {
                let name = tree.ident.to_string();
                let rename = tree.rename.to_string();
                if let Some(level) = Level::named(&name)
                    && is_type(path)
                {
                    self.levels.push((rename, level, path.join("::")));
                } else if name == "Ordering" || name == "self" && is_type(path) {
                    self.types.push(rename);
                }
            }
            syn::UseTree::Glob(_) if is_type(path) => {
                for level in Level::ALL {
                    self.levels
                        .push((level.name().to_owned(), level, path.join("::")));
                }
            }
            syn::UseTree::Glob(_) => {}
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add(&item.tree, &[]);
    }
}

/// An ordering in the source.
struct Site {
    /// Of the last segment of its path.
    range: Range<usize>,
    level: Level,
    role: Role,
    /// The path of the type, where the name stands alone.
    bare: Option<String>,
    /// The constant that it is the value of.
    constant: Option<String>,
}

struct Finder<'a> {
    imports: &'a Imports,
    role: Role,
    sites: Vec<Site>,
    uses_of_constants: BTreeMap<String, Vec<Role>>,
    fences: Vec<Range<usize>>,
}

impl Finder<'_> {
    fn in_role(&mut self, role: Role, visit: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.role, role);
        visit(self);
        self.role = before;
    }

    fn constant(&mut self, name: &syn::Ident, value: &syn::Expr) {
        let first = self.sites.len();
        self.in_role(Role::Unknown, |finder| {
            Visit::visit_expr(finder, value);
        });
        for site in &mut self.sites[first..] {
            site.constant = Some(name.to_string());
        }
    }

    /// What no expression can be made of, such as the body of `macro_rules!`: the names alone count.
    fn scan(&mut self, tokens: TokenStream) {
        let mut before: Vec<String> = Vec::new();
        for token in tokens {
            match &token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(ident) => {
                    let name = ident.to_string();
                    let qualified = match before.as_slice() {
                        [.., owner, first, second] if first == ":" && second == ":" => {
                            Some(owner.clone())
                        }
                        _ => None,
                    };
                    let found = match qualified {
                        Some(owner) if self.imports.is_type(&owner) => {
                            Level::named(&name).map(|level| (level, None))
                        }
                        Some(_) => None,
                        None => self
                            .imports
                            .level(&name)
                            .map(|(level, prefix)| (level, Some(prefix.to_owned()))),
                    };
                    if let Some((level, bare)) = found {
                        self.sites.push(Site {
                            range: ident.span().byte_range(),
                            level,
                            role: Role::Unknown,
                            bare,
                            constant: None,
                        });
                    }
                }
                _ => {}
            }
            before.push(token.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_only_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(&item.ident, &item.expr);
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        if let Some((_, value)) = &item.default {
            self.constant(&item.ident, value);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.in_role(Role::Unknown, |finder| finder.visit_expr(&call.receiver));
        let roles = roles(&call.method.to_string()).unwrap_or_default();
        for (index, argument) in call.args.iter().enumerate() {
            let role = roles.get(index).copied().flatten();
            self.in_role(role.unwrap_or(Role::Unknown), |finder| {
                finder.visit_expr(argument);
            });
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let name = match &*call.func {
            syn::Expr::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            other => {
                self.in_role(Role::Unknown, |finder| finder.visit_expr(other));
                None
            }
        };
        let name = name.unwrap_or_default();
        if name == "fence" {
            self.fences.push(call.span().byte_range());
            for argument in &call.args {
                self.in_role(Role::Fence, |finder| finder.visit_expr(argument));
            }
            return;
        }
        // `AtomicBool::load(&flag, Acquire)`: the receiver is an argument.
        let roles = roles(&name).unwrap_or_default();
        for (index, argument) in call.args.iter().enumerate() {
            let role = index
                .checked_sub(1)
                .and_then(|index| roles.get(index).copied().flatten());
            self.in_role(role.unwrap_or(Role::Unknown), |finder| {
                finder.visit_expr(argument);
            });
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.in_role(Role::Unknown, |finder| {
            visit::visit_expr_closure(finder, closure);
        });
    }

    fn visit_expr_path(&mut self, expr: &'ast syn::ExprPath) {
        let segments: Vec<&syn::PathSegment> = expr.path.segments.iter().collect();
        let Some(last) = segments.last() else {
            return;
        };
        let name = last.ident.to_string();
        let found = match segments.as_slice() {
            [_] => self
                .imports
                .level(&name)
                .map(|(level, prefix)| (level, Some(prefix.to_owned()))),
            [.., owner, _] if self.imports.is_type(&owner.ident.to_string()) => {
                Level::named(&name).map(|level| (level, None))
            }
            _ => None,
        };
        match found {
            Some((level, bare)) => self.sites.push(Site {
                range: last.ident.span().byte_range(),
                level,
                role: self.role,
                bare,
                constant: None,
            }),
            None if self.role != Role::Unknown => {
                self.uses_of_constants
                    .entry(name)
                    .or_default()
                    .push(self.role);
            }
            None => {}
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if is_assertion(&call.path) {
            return;
        }
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        match call.parse_body_with(arguments) {
            Ok(arguments) => {
                for argument in &arguments {
                    self.in_role(Role::Unknown, |finder| {
                        Visit::visit_expr(finder, argument);
                    });
                }
            }
            Err(_) => self.scan(call.tokens.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::source::apply;

    /// What each variant of one function's body becomes.
    fn bodies(body: &str) -> Vec<String> {
        let head = "use kata::sync::atomic::Ordering; fn f() { ";
        let source = format!("{head}{body} }}");
        weakenings(&source)
            .unwrap()
            .iter()
            .map(|variant| {
                let text = apply(&source, &variant.edits);
                text[head.len()..text.len() - 2].to_owned()
            })
            .collect()
    }

    #[test]
    fn each_method_gets_only_orderings_that_it_may_have() {
        for (body, expected) in [
            (
                "x.load(Ordering::SeqCst)",
                &["x.load(Ordering::Acquire)"][..],
            ),
            ("x.load(Ordering::Acquire)", &["x.load(Ordering::Relaxed)"]),
            ("x.load(Ordering::Relaxed)", &[]),
            (
                "x.store(1, Ordering::SeqCst)",
                &["x.store(1, Ordering::Release)"],
            ),
            (
                "x.store(1, Ordering::Release)",
                &["x.store(1, Ordering::Relaxed)"],
            ),
            (
                "x.swap(1, Ordering::SeqCst)",
                &[
                    "x.swap(1, Ordering::AcqRel)",
                    "x.swap(1, Ordering::Acquire)",
                    "x.swap(1, Ordering::Release)",
                ],
            ),
            (
                "x.fetch_add(1, Ordering::AcqRel)",
                &[
                    "x.fetch_add(1, Ordering::Acquire)",
                    "x.fetch_add(1, Ordering::Release)",
                ],
            ),
            (
                "x.fetch_or(1, Ordering::Release)",
                &["x.fetch_or(1, Ordering::Relaxed)"],
            ),
            (
                "x.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire)",
                &[
                    "x.compare_exchange(0, 1, Ordering::Acquire, Ordering::Acquire)",
                    "x.compare_exchange(0, 1, Ordering::Release, Ordering::Acquire)",
                    "x.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed)",
                ],
            ),
            (
                "x.compare_exchange_weak(0, 1, Ordering::Relaxed, Ordering::SeqCst)",
                &["x.compare_exchange_weak(0, 1, Ordering::Relaxed, Ordering::Acquire)"],
            ),
            (
                "x.fetch_update(Ordering::Release, Ordering::Acquire, |v| Some(v))",
                &[
                    "x.fetch_update(Ordering::Relaxed, Ordering::Acquire, |v| Some(v))",
                    "x.fetch_update(Ordering::Release, Ordering::Relaxed, |v| Some(v))",
                ],
            ),
            (
                "AtomicBool::store(&x, true, Ordering::SeqCst)",
                &["AtomicBool::store(&x, true, Ordering::Release)"],
            ),
            (
                "x.load(if a { Ordering::Acquire } else { Ordering::Relaxed })",
                &["x.load(if a { Ordering::Relaxed } else { Ordering::Relaxed })"],
            ),
            (
                "list.retain(|x| x.load(Ordering::SeqCst) > 0)",
                &["list.retain(|x| x.load(Ordering::Acquire) > 0)"],
            ),
            (
                "x.store(y.load(Ordering::Acquire), Ordering::Release)",
                &[
                    "x.store(y.load(Ordering::Relaxed), Ordering::Release)",
                    "x.store(y.load(Ordering::Acquire), Ordering::Relaxed)",
                ],
            ),
            (
                "helper(Ordering::SeqCst)",
                &[
                    "helper(Ordering::AcqRel)",
                    "helper(Ordering::Acquire)",
                    "helper(Ordering::Release)",
                ],
            ),
            ("a.cmp(&b) == cmp::Ordering::Less", &[]),
        ] {
            assert_eq!(bodies(body), expected, "{body}");
        }
    }

    #[test]
    fn a_fence_is_weakened_and_removed() {
        assert_eq!(
            bodies("fence(Ordering::SeqCst);"),
            ["();", "fence(Ordering::AcqRel);"]
        );
        assert_eq!(
            bodies("atomic::fence(Ordering::AcqRel);"),
            [
                "();",
                "atomic::fence(Ordering::Acquire);",
                "atomic::fence(Ordering::Release);"
            ]
        );
        assert_eq!(bodies("fence(Ordering::Acquire);"), ["();"]);
    }

    #[test]
    fn names_that_were_imported_stay_names_where_they_can() {
        let both =
            "use kata::sync::atomic::Ordering::{Acquire, Relaxed};\nfn f() { x.load(Acquire) }";
        let one = "use kata::sync::atomic::Ordering::Acquire as Acq;\nfn f() { x.load(Acq) }";
        let glob = "use Ordering::*;\nfn f() { x.load(Acquire) }";
        let of_another_type =
            "use state::State::Acquire;\nfn f() { step(Acquire, State::Release) }";
        let after = |source: &str| -> Vec<String> {
            let variants = weakenings(source).unwrap();
            let texts = variants.iter().map(|variant| apply(source, &variant.edits));
            texts
                .filter_map(|text| text.lines().last().map(str::to_owned))
                .collect()
        };
        assert_eq!(after(both), ["fn f() { x.load(Relaxed) }"]);
        assert_eq!(
            after(one),
            ["fn f() { x.load(kata::sync::atomic::Ordering::Relaxed) }"]
        );
        assert_eq!(after(glob), ["fn f() { x.load(Relaxed) }"]);
        assert!(after(of_another_type).is_empty());
    }

    #[test]
    fn a_constant_is_weakened_as_its_uses_allow() {
        let source = |uses: &str| {
            format!(
                "impl A {{ const ORDER: Ordering = Ordering::SeqCst; fn f(&self) {{ {uses} }} }}"
            )
        };
        let becomes = |uses: &str| -> Vec<String> {
            let variants = weakenings(&source(uses)).unwrap();
            variants
                .into_iter()
                .map(|variant| variant.becomes)
                .collect()
        };
        assert_eq!(becomes("self.x.load(Self::ORDER)"), ["Acquire"]);
        assert_eq!(
            becomes("self.x.swap(1, Self::ORDER)"),
            ["AcqRel", "Acquire", "Release"]
        );
        assert!(becomes("self.x.load(Self::ORDER); self.x.store(1, Self::ORDER)").is_empty());
    }

    #[test]
    fn unit_tests_and_assertions_are_left_alone_and_macros_are_not() {
        let source = "\
            fn f() { debug_assert!(x.load(Ordering::Acquire)); println!(\"{}\", y.load(Ordering::SeqCst)); }
            macro_rules! swap { ($x:expr) => { $x.swap(true, Ordering::Acquire) }; }
            #[cfg(test)]
            mod tests { fn g() { z.load(Ordering::Acquire); } }
        ";
        let found: Vec<(usize, String)> = weakenings(source)
            .unwrap()
            .into_iter()
            .map(|variant| (variant.line, variant.becomes))
            .collect();
        assert_eq!(
            found,
            [(1, "Acquire".to_owned()), (2, "Relaxed".to_owned())]
        );
        assert!(weakenings("fn f( {").is_err());
    }

    #[test]
    fn places_are_right_behind_letters_of_more_than_one_byte() {
        let source = "// Grüße — ✓\nfn f() { x.load(Ordering::Acquire) } // ü";
        let variants = weakenings(source).unwrap();
        assert_eq!(
            apply(source, &variants[0].edits),
            "// Grüße — ✓\nfn f() { x.load(Ordering::Relaxed) } // ü"
        );
    }
}
