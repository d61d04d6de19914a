//! Whether two crates offer the same to their users: public items are compared, bodies and private items are not.
//!
//! Left out as well: attributes but `cfg`, names of parameters, `Send` and `Sync` (the stub may leave them for the
//! learner to find) and `Drop` (it gives a user nothing to name).

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::{FnArg, GenericParam, Generics, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// Reads the source of a module of a crate, named by its path from the crate's root; the root's path is empty.
pub type Reader<'a> = &'a dyn Fn(&[String]) -> Option<String>;

/// How the API of `solution` differs from that of `stub`, in lines for a reader; empty if it does not.
///
/// # Errors
/// If one of them is no Rust: which, and what is wrong.
pub fn differences(stub: Reader<'_>, solution: Reader<'_>) -> Result<Vec<String>, String> {
    let stub = read("the stub", stub)?;
    let solution = read("the solution", solution)?;
    let mut lines = Vec::new();
    for (name, text) in &stub {
        match solution.get(name) {
            None => lines.push(format!("only in the stub: {text}")),
            Some(other) if other != text => {
                lines.push(format!("in the stub: {text}\n  in the solution: {other}"));
            }
            Some(_) => {}
        }
    }
    for (name, text) in &solution {
        if !stub.contains_key(name) {
            lines.push(format!("only in the solution: {text}"));
        }
    }
    Ok(lines)
}

fn read(whose: &str, reader: Reader<'_>) -> Result<BTreeMap<String, String>, String> {
    let root = Module::read(&[], reader).map_err(|error| format!("{whose}: {error}"))?;
    let mut api = Api::default();
    api.add_module(&root, &root, "");
    api.add_impls(&root);
    Ok(api.items)
}

/// A module with its children, from one file or several.
struct Module {
    items: Vec<Item>,
    children: BTreeMap<String, Module>,
}

impl Module {
    fn read(path: &[String], reader: Reader<'_>) -> Result<Self, String> {
        let name = if path.is_empty() {
            "the crate".to_owned()
        } else {
            path.join("::")
        };
        let source = reader(path).ok_or_else(|| format!("the source of {name} is missing"))?;
        let file = syn::parse_file(&source).map_err(|error| {
            let at = error.span().start();
            format!("{name} is no Rust: line {}: {error}", at.line)
        })?;
        Self::of(file.items, path, reader)
    }

    fn of(items: Vec<Item>, path: &[String], reader: Reader<'_>) -> Result<Self, String> {
        let mut children = BTreeMap::new();
        for item in &items {
            if let Item::Mod(child) = item
                && !super::generated::is_only_for_tests(item)
            {
                let mut path = path.to_vec();
                path.push(child.ident.to_string());
                let module = match &child.content {
                    Some((_, items)) => Self::of(items.clone(), &path, reader)?,
                    None => Self::read(&path, reader)?,
                };
                children.insert(child.ident.to_string(), module);
            }
        }
        Ok(Self { items, children })
    }

    fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |module, name| module.children.get(name))
    }
}

/// Public items by a name that is the same in both crates.
#[derive(Default)]
struct Api {
    items: BTreeMap<String, String>,
    types: BTreeSet<String>,
}

impl Api {
    fn add(&mut self, name: String, text: String) {
        let mut unique = name.clone();
        let mut number = 1;
        while self.items.contains_key(&unique) {
            number += 1;
            unique = format!("{name} #{number}");
        }
        self.items.insert(unique, text);
    }

    fn add_module(&mut self, root: &Module, module: &Module, prefix: &str) {
        for item in &module.items {
            match item {
                Item::Mod(child) if is_public(&child.vis) => {
                    let name = child.ident.to_string();
                    if let Some(child) = module.children.get(&name) {
                        let path = format!("{prefix}{name}");
                        self.add(format!("mod {path}"), format!("pub mod {path}"));
                        self.add_module(root, child, &format!("{path}::"));
                    }
                }
                Item::Use(item) if is_public(&item.vis) => {
                    self.add_reexport(root, module, prefix, &item.tree, &[]);
                }
                item => self.add_item(item, prefix, None),
            }
        }
    }

    /// What is re-exported from a module of the crate counts as if it stood here.
    fn add_reexport(
        &mut self,
        root: &Module,
        here: &Module,
        prefix: &str,
        tree: &UseTree,
        path: &[String],
    ) {
        let (from, names) = match path.first().map(String::as_str) {
            Some("crate") => (root, &path[1..]),
            Some("self") => (here, &path[1..]),
            _ => (here, path),
        };
        let module = from.at(names);
        match tree {
            UseTree::Path(tree) => {
                let mut path = path.to_vec();
                path.push(tree.ident.to_string());
                self.add_reexport(root, here, prefix, &tree.tree, &path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_reexport(root, here, prefix, tree, path);
                }
            }
            UseTree::Glob(_) => match module {
                Some(module) => self.add_module(root, module, prefix),
                None => self.add_foreign(prefix, path, "*", None),
            },
            UseTree::Name(tree) => {
                self.add_name(module, prefix, path, &tree.ident.to_string(), None);
            }
            UseTree::Rename(tree) => {
                let rename = tree.rename.to_string();
                self.add_name(module, prefix, path, &tree.ident.to_string(), Some(&rename));
            }
        }
    }

    fn add_name(
        &mut self,
        module: Option<&Module>,
        prefix: &str,
        path: &[String],
        name: &str,
        rename: Option<&str>,
    ) {
        let items = module.map_or(&[][..], |module| &module.items);
        let mut found = false;
        for item in items
            .iter()
            .filter(|item| name_of(item).as_deref() == Some(name))
        {
            self.add_item(item, prefix, rename);
            found = true;
        }
        if !found {
            self.add_foreign(prefix, path, name, rename);
        }
    }

    fn add_foreign(&mut self, prefix: &str, path: &[String], name: &str, rename: Option<&str>) {
        let visible = rename.unwrap_or(name);
        let path: String = path.iter().map(|segment| format!("{segment}::")).collect();
        let renamed = rename.map_or_else(String::new, |rename| format!(" as {rename}"));
        self.add(
            format!("use {prefix}{visible}"),
            format!("pub use {path}{name}{renamed}"),
        );
    }

    fn add_item(&mut self, item: &Item, prefix: &str, rename: Option<&str>) {
        let name = |ident: &syn::Ident| {
            format!(
                "{prefix}{}",
                rename.map_or_else(|| ident.to_string(), str::to_owned)
            )
        };
        match item {
            Item::Fn(item) if is_public(&item.vis) => {
                let name = name(&item.sig.ident);
                let cfg = cfg_of(&item.attrs);
                let text = signature(&item.sig, &name, &Bounds::default());
                self.add(format!("fn {name}"), format!("{cfg}pub {text}"));
            }
            Item::Struct(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let bounds = Bounds::of(&item.generics);
                let fields = fields(&item.fields);
                let head = format!("struct {name}{}", parameters(&item.generics));
                self.add_type(&item.ident, &name, &item.attrs, &head, &fields, bounds);
                self.add_derives(&item.ident, &item.generics, &item.attrs);
            }
            Item::Union(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let bounds = Bounds::of(&item.generics);
                let all = syn::Fields::Named(item.fields.clone());
                let head = format!("union {name}{}", parameters(&item.generics));
                self.add_type(
                    &item.ident,
                    &name,
                    &item.attrs,
                    &head,
                    &fields(&all),
                    bounds,
                );
                self.add_derives(&item.ident, &item.generics, &item.attrs);
            }
            Item::Enum(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let bounds = Bounds::of(&item.generics);
                let variants: Vec<String> = item
                    .variants
                    .iter()
                    .map(|variant| {
                        let mut variant = variant.clone();
                        let cfg = cfg_of(&variant.attrs);
                        variant.attrs.clear();
                        for field in &mut variant.fields {
                            field.attrs.clear();
                        }
                        format!("{cfg}{}", text(&variant))
                    })
                    .collect();
                let head = format!("enum {name}{}", parameters(&item.generics));
                let variants = format!(" {{ {} }}", variants.join(", "));
                self.add_type(&item.ident, &name, &item.attrs, &head, &variants, bounds);
                self.add_derives(&item.ident, &item.generics, &item.attrs);
            }
            Item::Type(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let cfg = cfg_of(&item.attrs);
                let head = format!("type {name}{}", parameters(&item.generics));
                self.add(
                    format!("type {name}"),
                    format!("{cfg}pub {head} = {}", text(&item.ty)),
                );
            }
            Item::Const(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let cfg = cfg_of(&item.attrs);
                self.add(
                    format!("const {name}"),
                    format!("{cfg}pub const {name}: {}", text(&item.ty)),
                );
            }
            Item::Static(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                let cfg = cfg_of(&item.attrs);
                self.add(
                    format!("static {name}"),
                    format!("{cfg}pub static {name}: {}", text(&item.ty)),
                );
            }
            Item::Trait(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                self.types.insert(item.ident.to_string());
                let cfg = cfg_of(&item.attrs);
                let unsafety = item.unsafety.map_or("", |_| "unsafe ");
                let supertraits: BTreeSet<String> = item.supertraits.iter().map(text).collect();
                let supertraits = join_after(": ", supertraits, " + ");
                let bounds = Bounds::of(&item.generics).clause();
                let head = format!("{unsafety}trait {name}{}", parameters(&item.generics));
                self.add(
                    format!("trait {name}"),
                    format!("{cfg}pub {head}{supertraits}{bounds}"),
                );
                for member in &item.items {
                    self.add_trait_member(&name, member);
                }
            }
            Item::Macro(item) => {
                let exported = item
                    .attrs
                    .iter()
                    .any(|attribute| attribute.path().is_ident("macro_export"));
                if let Some(ident) = &item.ident
                    && exported
                {
                    self.add(format!("macro {ident}"), format!("macro {ident}!"));
                }
            }
            _ => {}
        }
    }

    fn add_type(
        &mut self,
        ident: &syn::Ident,
        name: &str,
        attributes: &[syn::Attribute],
        head: &str,
        body: &str,
        bounds: Bounds,
    ) {
        self.types.insert(ident.to_string());
        let cfg = cfg_of(attributes);
        let text = format!("{cfg}pub {head}{}{body}", bounds.clause());
        self.add(format!("type {name}"), text);
    }

    fn add_derives(
        &mut self,
        ident: &syn::Ident,
        generics: &Generics,
        attributes: &[syn::Attribute],
    ) {
        for attribute in attributes {
            if !attribute.path().is_ident("derive") {
                continue;
            }
            let paths = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
            for path in attribute.parse_args_with(paths).into_iter().flatten() {
                let mut bounds = Bounds::of(generics);
                for parameter in generics.type_params() {
                    bounds
                        .0
                        .insert(format!("{}: {}", parameter.ident, text(&path)));
                }
                let own = format!("{ident}{}", arguments(generics));
                self.add_impl(&text(&path), &own, &bounds);
            }
        }
    }

    fn add_impl(&mut self, what: &str, own: &str, bounds: &Bounds) {
        let head = format!("impl {what} for {own}");
        let text = format!("{head}{}", bounds.clause());
        self.add(head, text);
    }

    fn add_trait_member(&mut self, owner: &str, member: &TraitItem) {
        match member {
            TraitItem::Fn(item) => {
                let name = format!("{owner}::{}", item.sig.ident);
                let provided = item.default.as_ref().map_or("", |_| " (provided)");
                let text = signature(&item.sig, &name, &Bounds::default());
                self.add(format!("fn {name}"), format!("{text}{provided}"));
            }
            TraitItem::Type(item) => {
                let name = format!("{owner}::{}", item.ident);
                let bounds: BTreeSet<String> = item.bounds.iter().map(text).collect();
                let bounds = join_after(": ", bounds, " + ");
                self.add(format!("type {name}"), format!("type {name}{bounds}"));
            }
            TraitItem::Const(item) => {
                let name = format!("{owner}::{}", item.ident);
                let provided = item.default.as_ref().map_or("", |_| " (provided)");
                let text = format!("const {name}: {}{provided}", text(&item.ty));
                self.add(format!("const {name}"), text);
            }
            _ => {}
        }
    }

    /// Implementations count wherever they are, if the type or the trait is public.
    fn add_impls(&mut self, module: &Module) {
        for item in &module.items {
            if let Item::Impl(item) = item {
                self.add_impl_block(item);
            }
        }
        for child in module.children.values() {
            self.add_impls(child);
        }
    }

    fn add_impl_block(&mut self, item: &syn::ItemImpl) {
        let cfg = cfg_of(&item.attrs);
        if cfg == "#[cfg(test)] " {
            return;
        }
        let owner = base_name(&item.self_ty);
        let is_known =
            |name: &Option<String>| name.as_ref().is_some_and(|name| self.types.contains(name));
        let bounds = Bounds::of(&item.generics);
        let own = text(&*item.self_ty);
        let Some((name, _)) = &item.trait_ else {
            if is_known(&owner) {
                self.add_inherent(item, &own, &cfg, &bounds);
            }
            return;
        };
        let last = name.segments.last().map(|last| last.ident.to_string());
        let local_trait = name.segments.len() == 1 && is_known(&last);
        if !is_known(&owner) && !local_trait {
            return;
        }
        if matches!(last.as_deref(), Some("Send" | "Sync" | "Drop")) {
            return;
        }
        let what = short(name);
        self.add_impl(&what, &own, &bounds);
        for member in &item.items {
            match member {
                ImplItem::Type(member) => {
                    let name = format!("<{own} as {what}>::{}", member.ident);
                    let text = format!("type {name} = {}", text(&member.ty));
                    self.add(format!("type {name}"), text);
                }
                ImplItem::Const(member) => {
                    let name = format!("<{own} as {what}>::{}", member.ident);
                    let text = format!("const {name}: {}", text(&member.ty));
                    self.add(format!("const {name}"), text);
                }
                _ => {}
            }
        }
    }

    fn add_inherent(&mut self, item: &syn::ItemImpl, own: &str, cfg: &str, bounds: &Bounds) {
        for member in &item.items {
            match member {
                ImplItem::Fn(member) if is_public(&member.vis) => {
                    let name = format!("{own}::{}", member.sig.ident);
                    let own_cfg = cfg_of(&member.attrs);
                    let text = signature(&member.sig, &name, bounds);
                    self.add(format!("fn {name}"), format!("{cfg}{own_cfg}pub {text}"));
                }
                ImplItem::Const(member) if is_public(&member.vis) => {
                    let name = format!("{own}::{}", member.ident);
                    let own_cfg = cfg_of(&member.attrs);
                    let text = format!("const {name}: {}{}", text(&member.ty), bounds.clause());
                    self.add(format!("const {name}"), format!("{cfg}{own_cfg}pub {text}"));
                }
                _ => {}
            }
        }
    }
}

/// What generics ask for, whether it is said at the parameter or in the `where` clause.
#[derive(Default, Clone)]
struct Bounds(BTreeSet<String>);

impl Bounds {
    fn of(generics: &Generics) -> Self {
        let mut bounds = Self::default();
        bounds.add(generics);
        bounds
    }

    fn add(&mut self, generics: &Generics) {
        for parameter in &generics.params {
            match parameter {
                GenericParam::Type(parameter) => {
                    for bound in &parameter.bounds {
                        self.0
                            .insert(format!("{}: {}", parameter.ident, text(bound)));
                    }
                }
                GenericParam::Lifetime(parameter) => {
                    for bound in &parameter.bounds {
                        self.0
                            .insert(format!("{}: {}", text(&parameter.lifetime), text(bound)));
                    }
                }
                _ => {}
            }
        }
        for predicate in generics
            .where_clause
            .iter()
            .flat_map(|clause| &clause.predicates)
        {
            match predicate {
                syn::WherePredicate::Type(predicate) => {
                    let binder = predicate
                        .lifetimes
                        .as_ref()
                        .map_or_else(String::new, |binder| format!("{} ", text(binder)));
                    for bound in &predicate.bounds {
                        let bounded = text(&predicate.bounded_ty);
                        self.0.insert(format!("{binder}{bounded}: {}", text(bound)));
                    }
                }
                other => {
                    self.0.insert(text(other));
                }
            }
        }
    }

    fn clause(&self) -> String {
        join_after(" where ", self.0.clone(), ", ")
    }
}

fn join_after(before: &str, parts: BTreeSet<String>, between: &str) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = parts.into_iter().collect();
    format!("{before}{}", parts.join(between))
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn cfg_of(attributes: &[syn::Attribute]) -> String {
    attributes
        .iter()
        .filter(|attribute| {
            attribute.path().is_ident("cfg") || attribute.path().is_ident("non_exhaustive")
        })
        .map(|attribute| format!("{} ", text(attribute)))
        .collect()
}

/// The type's own name, whatever it is borrowed or wrapped in.
fn base_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(ty) => ty.path.segments.last().map(|last| last.ident.to_string()),
        Type::Reference(ty) => base_name(&ty.elem),
        Type::Paren(ty) => base_name(&ty.elem),
        Type::Group(ty) => base_name(&ty.elem),
        _ => None,
    }
}

/// A trait by its last segment: whether its module was imported or written out is no difference.
fn short(path: &syn::Path) -> String {
    path.segments.last().map_or_else(String::new, text)
}

/// `<'a, T, const N: usize>`, without bounds.
fn parameters(generics: &Generics) -> String {
    list_of(generics, |parameter| match parameter {
        GenericParam::Type(parameter) => match &parameter.default {
            Some((_, default)) => format!("{} = {}", parameter.ident, text(default)),
            None => parameter.ident.to_string(),
        },
        GenericParam::Lifetime(parameter) => text(&parameter.lifetime),
        GenericParam::Const(parameter) => {
            format!("const {}: {}", parameter.ident, text(&parameter.ty))
        }
    })
}

/// `<'a, T, N>`.
fn arguments(generics: &Generics) -> String {
    list_of(generics, |parameter| match parameter {
        GenericParam::Type(parameter) => parameter.ident.to_string(),
        GenericParam::Lifetime(parameter) => text(&parameter.lifetime),
        GenericParam::Const(parameter) => parameter.ident.to_string(),
    })
}

fn list_of(generics: &Generics, show: impl Fn(&GenericParam) -> String) -> String {
    let shown: Vec<String> = generics.params.iter().map(show).collect();
    if shown.is_empty() {
        String::new()
    } else {
        format!("<{}>", shown.join(", "))
    }
}

/// Public fields; that there are private ones does not count.
fn fields(fields: &syn::Fields) -> String {
    let public: Vec<String> = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| is_public(&field.vis))
        .map(|(index, field)| {
            let name = match &field.ident {
                Some(ident) => ident.to_string(),
                None => index.to_string(),
            };
            format!("{}pub {name}: {}", cfg_of(&field.attrs), text(&field.ty))
        })
        .collect();
    if public.is_empty() {
        String::new()
    } else {
        format!(" {{ {} }}", public.join(", "))
    }
}

fn signature(signature: &syn::Signature, name: &str, outer: &Bounds) -> String {
    let mut bounds = outer.clone();
    bounds.add(&signature.generics);
    let inputs: Vec<String> = signature
        .inputs
        .iter()
        .map(|input| match input {
            FnArg::Typed(input) => format!("_: {}", text(&input.ty)),
            FnArg::Receiver(receiver) => {
                let mut receiver = receiver.clone();
                receiver.attrs.clear();
                let shown = text(&receiver);
                // A receiver by value may be `mut` for the body's sake.
                match shown.strip_prefix("mut ") {
                    Some(rest) => rest.to_owned(),
                    None => shown,
                }
            }
        })
        .collect();
    let mut before = String::new();
    if signature.constness.is_some() {
        before.push_str("const ");
    }
    if signature.asyncness.is_some() {
        before.push_str("async ");
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        before.push_str("unsafe ");
    }
    if let Some(abi) = &signature.abi {
        before.push_str(&text(abi));
        before.push(' ');
    }
    let output = match &signature.output {
        syn::ReturnType::Default => String::new(),
        syn::ReturnType::Type(_, ty) => format!(" -> {}", text(ty)),
    };
    format!(
        "{before}fn {name}{}({}){output}{}",
        parameters(&signature.generics),
        inputs.join(", "),
        bounds.clause()
    )
}

/// Tokens as a person would space them.
fn text(tokens: &(impl ToTokens + ?Sized)) -> String {
    let mut text = String::new();
    let spaced = tokens.to_token_stream().to_string();
    let mut parts = spaced.split_whitespace().peekable();
    while let Some(part) = parts.next() {
        text.push_str(part);
        let Some(next) = parts.peek() else { break };
        let tight_after = ["<", "::", "&", "(", "[", "!", "#", "?", "'"];
        let tight_before = [",", ">", "::", "<", ")", "]", ";", ":", "(", "?", "!"];
        let closes = tight_before.iter().any(|before| next.starts_with(before));
        let opens = tight_after.iter().any(|after| part.ends_with(after)) && part != "->";
        if !(opens || closes) {
            text.push(' ');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(stub: &str, solution: &str) -> Vec<String> {
        let reader = |source: &str| {
            let source = source.to_owned();
            move |path: &[String]| path.is_empty().then(|| source.clone())
        };
        differences(&reader(stub), &reader(solution)).unwrap()
    }

    #[test]
    fn bodies_private_items_and_names_of_parameters_do_not_count() {
        let stub = "
            /// Docs.
            pub struct Lock<T> { locked: bool, value: T }
            unsafe impl<T> Sync for Lock<T> {}
            impl<T> Lock<T> { pub fn new(value: T) -> Self { todo!() } }
            impl<T> Drop for Lock<T> { fn drop(&mut self) { todo!() } }
        ";
        let solution = "
            use std::cell::Cell;
            const LIMIT: u32 = 6;
            #[derive()]
            pub struct Lock<T> { state: Cell<u8>, value: T }
            unsafe impl<T: Send> Sync for Lock<T> {}
            impl<T> Lock<T> {
                #[inline]
                pub fn new(mut inner: T) -> Self { helper(); Self { state: Cell::new(0), value: inner } }
                fn private(&self) {}
            }
            fn helper() {}
            pub(crate) struct Hidden;
            impl Clone for Hidden { fn clone(&self) -> Self { Self } }
        ";
        assert_eq!(compare(stub, solution), Vec::<String>::new());
    }

    #[test]
    fn a_bound_may_stand_in_either_place() {
        let stub = "pub fn spawn<F: Send + FnOnce() -> u32>(f: F) {}";
        let solution = "pub fn spawn<F>(work: F) where F: FnOnce() -> u32 + Send {}";
        assert_eq!(compare(stub, solution), Vec::<String>::new());
    }

    #[test]
    fn what_is_re_exported_counts_as_if_it_stood_there() {
        let stub = "pub struct Ring; impl Ring { pub fn push(&self) {} }";
        let solution =
            "mod ring { pub struct Ring; impl Ring { pub fn push(&self) {} } } pub use ring::Ring;";
        assert_eq!(compare(stub, solution), Vec::<String>::new());
    }

    #[test]
    fn a_derive_is_an_impl() {
        let stub = "#[derive(Clone, Debug)] pub struct Handle<T> { inner: T }";
        let solution = "
            #[derive(Debug)] pub struct Handle<T> { inner: T }
            impl<T: Clone> Clone for Handle<T> { fn clone(&self) -> Self { loop {} } }
        ";
        assert_eq!(compare(stub, solution), Vec::<String>::new());
    }

    #[test]
    fn every_public_difference_is_found() {
        for (stub, solution, difference) in [
            ("pub fn f( {}", "", "the stub: the crate is no Rust: line 1"),
            (
                "pub struct A; impl A { pub fn f(&self, x: u32) -> u32 { 0 } }",
                "pub struct A; impl A { pub fn f(&mut self, x: u32) -> u32 { 0 } }",
                "in the stub: pub fn A::f(&self, _: u32) -> u32\n  in the solution: pub fn A::f(&mut self, _: u32) -> u32",
            ),
            (
                "pub struct A<T>(T); impl<T> A<T> { pub fn f(&self) {} }",
                "pub struct A<T>(T); impl<T: Send> A<T> { pub fn f(&self) {} }",
                "in the stub: pub fn A<T>::f(&self)\n  in the solution: pub fn A<T>::f(&self) where T: Send",
            ),
            (
                "pub struct A { pub x: u32 }",
                "pub struct A { x: u32 }",
                "in the stub: pub struct A { pub x: u32 }\n  in the solution: pub struct A",
            ),
            (
                "pub struct A;",
                "pub struct A; impl Iterator for A { type Item = u32; fn next(&mut self) -> Option<u32> { None } }",
                "only in the solution: impl Iterator for A",
            ),
            (
                "pub enum E { A, B(u32) }",
                "pub enum E { A }",
                "in the stub: pub enum E { A, B(u32) }\n  in the solution: pub enum E { A }",
            ),
            (
                "pub const fn f() {}",
                "pub fn f() {}",
                "in the stub: pub const fn f()\n  in the solution: pub fn f()",
            ),
            (
                "pub const N: usize = 1;",
                "pub const N: u32 = 2;",
                "in the stub: pub const N: usize\n  in the solution: pub const N: u32",
            ),
            (
                "pub trait Node { fn step(&mut self); }",
                "pub trait Node: Send { fn step(&mut self); fn id(&self) -> u32 { 0 } }",
                "only in the solution: fn Node::id(&self) -> u32 (provided)",
            ),
        ] {
            let one = |path: &[String]| path.is_empty().then(|| stub.to_owned());
            let other = |path: &[String]| path.is_empty().then(|| solution.to_owned());
            let found = differences(&one, &other);
            let said = found.map_or_else(|error| error, |lines| lines.join("\n"));
            assert!(said.contains(difference), "{said}\nis not\n{difference}");
        }
    }
}
