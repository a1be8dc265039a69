//! Walks a parsed expression once: finds what it refers to, checks every helper call, and makes values explicit.
//!
//! The engine prints `{{name}}` without asking anyone, and calls a helper when one happens to have the same name. Here
//! each such value becomes a call of an internal helper with `name` as its argument, so that data may be called `title` or
//! `date`, and a list is not printed by accident.

use handlebars::template::{BlockParam, HelperTemplate, Parameter, Template, TemplateElement};
use handlebars::{Path, PathSeg};

use super::helpers::{self, Kind, SHOW};
use super::scan::Tag;
use super::{ExprError, Reference};
use crate::units::did_you_mean;

/// What an expression's walk found.
pub(super) struct Resolved {
    /// References to the data in order of their places.
    pub references: Vec<Reference>,
    /// The paths in the data that rendering can reach, none inside another; the empty path is all of it.
    pub roots: Vec<Vec<String>>,
}

/// Where names are looked up inside a block.
struct Scope {
    /// The path of the block's own value in the data; `None` inside a list, where it differs from turn to turn.
    base: Option<Vec<String>>,
    /// Whether `@index` and its kin exist.
    is_loop: bool,
    /// Names given by `as |item index|`, with the paths they stand for.
    params: Vec<(String, Option<Vec<String>>)>,
}

struct Walk<'a> {
    tags: std::slice::Iter<'a, Tag<'a>>,
    scopes: Vec<Scope>,
    /// Paths known to hold a value where the walk is.
    known: Vec<Vec<String>>,
    references: Vec<Reference>,
}

/// Walks `template`, whose tags in order are `tags`.
pub(super) fn resolve(template: &mut Template, tags: &[Tag<'_>]) -> Result<Resolved, ExprError> {
    let root = Scope { base: Some(Vec::new()), is_loop: false, params: Vec::new() };
    let mut walk = Walk { tags: tags.iter(), scopes: vec![root], known: Vec::new(), references: Vec::new() };
    walk.template(template)?;
    let mut references = walk.references;
    references.sort_by_key(|reference| reference.offset);

    let mut roots: Vec<Vec<String>> = references.iter().map(|reference| reference.path.clone()).collect();
    roots.sort();
    // In sorted order a path stands directly before those inside it.
    roots.dedup_by(|inner, outer| inner.starts_with(outer));
    Ok(Resolved { references, roots })
}

impl<'a> Walk<'a> {
    fn template(&mut self, template: &mut Template) -> Result<(), ExprError> {
        for element in &mut template.elements {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                    self.expression(call)?
                }
                TemplateElement::HelperBlock(block) => self.block(block)?,
                // The scan has refused these; should the engine see one that the scan did not, it goes no further.
                _ => {
                    return Err(ExprError::new(0, "partials and decorators are not part of the language"));
                }
            }
        }
        Ok(())
    }

    /// The tag of the element that the walk has come to: the scan found them in the same order.
    fn next_tag(&mut self) -> &'a Tag<'a> {
        static NOWHERE: Tag<'static> = Tag { offset: 0, words: Vec::new() };
        self.tags.next().unwrap_or(&NOWHERE)
    }

    fn expression(&mut self, call: &mut HelperTemplate) -> Result<(), ExprError> {
        let place = self.next_tag();
        // `{{(helper x)}}` is `{{helper x}}`; the engine would call a helper by the name that comes out.
        while let Parameter::Subexpression(inner) = &call.name {
            let TemplateElement::Expression(inner) = &*inner.element else {
                return Err(ExprError::new(
                    place.offset,
                    "an expression in parentheses that cannot be called",
                ));
            };
            if !call.params.is_empty() || !call.hash.is_empty() {
                return Err(ExprError::new(place.offset, "a helper's name in parentheses")
                    .hint("write the name itself, e.g. {{upper name}}"));
            }
            *call = HelperTemplate::clone(inner);
        }
        if call.params.is_empty() && call.hash.is_empty() {
            let Some(path) = as_path(&call.name) else {
                return Err(ExprError::new(place.offset, "a literal where a name is expected"));
            };
            self.path(&path, place, false)?;
            call.params = vec![Parameter::Path(path)];
            call.name = Parameter::Name(SHOW.to_owned());
            return Ok(());
        }
        self.call(call, place)
    }

    /// A helper with arguments, in a tag of its own or in parentheses.
    fn call(&mut self, call: &mut HelperTemplate, place: &Tag<'_>) -> Result<(), ExprError> {
        let name = call.name.as_name().unwrap_or_default().to_owned();
        let offset = place.name(&name);
        let helper = self.known_helper(&name, offset)?;
        if helper.kind == Kind::Block {
            return Err(ExprError::new(offset, format!("`{name}` is a block, not a value"))
                .hint(format!("write {{{{#{name} …}}}}…{{{{/{name}}}}}")));
        }
        helper.check(call).map_err(|(message, hint)| ExprError::new(offset, message).hint(hint))?;
        for param in &mut call.params {
            self.parameter(param, place, helper.accepts_missing)?;
        }
        // The engine keeps named arguments in a hash map: sorted, so that of two faults always the same is told.
        let mut keys: Vec<String> = call.hash.keys().cloned().collect();
        keys.sort();
        for key in &keys {
            if let Some(param) = call.hash.get_mut(key) {
                self.parameter(param, place, false)?;
            }
        }
        Ok(())
    }

    fn known_helper(&self, name: &str, offset: usize) -> Result<&'static helpers::Spec, ExprError> {
        helpers::find(name).ok_or_else(|| {
            let near = did_you_mean(name, helpers::names());
            ExprError::new(offset, format!("unknown helper `{name}`")).hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("helpers are {}", helpers::names().collect::<Vec<_>>().join(", ")),
            })
        })
    }

    fn parameter(&mut self, param: &mut Parameter, place: &Tag<'_>, guarded: bool) -> Result<(), ExprError> {
        match param {
            Parameter::Literal(_) => Ok(()),
            Parameter::Path(path) => self.path(path, place, guarded),
            Parameter::Subexpression(inner) => {
                let TemplateElement::Expression(call) = &mut *inner.element else {
                    return Err(ExprError::new(
                        place.offset,
                        "an expression in parentheses that cannot be called",
                    ));
                };
                if call.params.is_empty() && call.hash.is_empty() {
                    // `(name)` is the value `name`, never a helper without arguments.
                    let Some(path) = as_path(&call.name) else {
                        return Err(ExprError::new(place.offset, "a literal in parentheses"));
                    };
                    self.path(&path, place, guarded)?;
                    *param = Parameter::Path(path);
                    return Ok(());
                }
                self.call(call, place)
            }
            _ => Err(ExprError::new(place.offset, "an argument that is neither a value nor a literal")),
        }
    }

    fn block(&mut self, block: &mut HelperTemplate) -> Result<(), ExprError> {
        let place = self.next_tag();
        let name = block.name.as_name().unwrap_or_default().to_owned();
        let offset = place.name(&name);
        match helpers::find(&name) {
            Some(helper) if helper.kind == Kind::Block => {
                helper.check(block).map_err(|(message, hint)| ExprError::new(offset, message).hint(hint))?;
            }
            Some(_) => {
                return Err(ExprError::new(offset, format!("`{name}` is a value, not a block"))
                    .hint(format!("write {{{{{name} …}}}} without # and /")));
            }
            None => {
                let near = did_you_mean(&name, ["if", "unless", "each", "with"]);
                return Err(ExprError::new(offset, format!("unknown block `{name}`")).hint(match near {
                    Some(near) => format!("did you mean `{{{{#{near} …}}}}`?"),
                    None => format!(
                        "write {{{{#if {name}}}}} or {{{{#each {name}}}}}; blocks are if, unless, each, with"
                    ),
                }));
            }
        }
        for param in &mut block.params {
            self.parameter(param, place, true)?;
        }
        let mut holds = Vec::new();
        let mut fails = Vec::new();
        if let Some(condition) = block.params.first() {
            self.implied(condition, &mut holds, &mut fails);
        }
        if name == "unless" {
            std::mem::swap(&mut holds, &mut fails);
        }
        let scoped = matches!(name.as_str(), "each" | "with");
        if scoped {
            let scope = self.scope(block, name == "each");
            self.scopes.push(scope);
        } else if block.block_param.is_some() {
            return Err(ExprError::new(offset, format!("`{name}` gives no names with `as |…|`"))
                .hint("only each and with do"));
        }
        let known = self.known.len();
        self.known.extend(holds);
        if let Some(template) = &mut block.template {
            self.template(template)?;
        }
        self.known.truncate(known);
        if scoped {
            self.scopes.pop();
        }
        self.known.extend(fails);
        if let Some(inverse) = &mut block.inverse {
            self.template(inverse)?;
        }
        self.known.truncate(known);
        Ok(())
    }

    /// The scope inside an `each` or `with` block.
    fn scope(&self, block: &HelperTemplate, is_loop: bool) -> Scope {
        let value = match block.params.first() {
            Some(Parameter::Path(path)) => self.target(path).ok().flatten(),
            _ => None,
        };
        let base = if is_loop { None } else { value };
        let name = |param: &Parameter| param.as_name().unwrap_or_default().to_owned();
        let params = match &block.block_param {
            Some(BlockParam::Single(item)) => vec![(name(item), base.clone())],
            Some(BlockParam::Pair((item, index))) => vec![(name(item), base.clone()), (name(index), None)],
            _ => Vec::new(),
        };
        Scope { base, is_loop, params }
    }

    /// Adds to `holds` the paths that have a value when `condition` is met, to `fails` those when it is not.
    fn implied(&self, condition: &Parameter, holds: &mut Vec<Vec<String>>, fails: &mut Vec<Vec<String>>) {
        match condition {
            Parameter::Path(path) => holds.extend(self.target(path).ok().flatten()),
            Parameter::Subexpression(inner) => {
                let TemplateElement::Expression(call) = &*inner.element else { return };
                match call.name.as_name() {
                    Some("and") => {
                        call.params.iter().for_each(|param| self.implied(param, holds, &mut Vec::new()))
                    }
                    Some("or") => {
                        call.params.iter().for_each(|param| self.implied(param, &mut Vec::new(), fails))
                    }
                    Some("not") => call.params.iter().for_each(|param| self.implied(param, fails, holds)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Notes that `path` is read; `guarded` when its absence is no fault there.
    fn path(&mut self, path: &Path, place: &Tag<'_>, guarded: bool) -> Result<(), ExprError> {
        let offset = place.argument(raw(path)).unwrap_or(place.offset);
        let target =
            self.target(path).map_err(|(message, hint)| ExprError::new(offset, message).hint(hint))?;
        if let Some(target) = target {
            let known = |other: &Vec<String>| other.starts_with(&target) || target.starts_with(other);
            let guarded = guarded || self.known.iter().any(known);
            self.references.push(Reference { path: target, offset, guarded });
        }
        Ok(())
    }

    /// Where `path` leads in the data; `None` when it stays inside a list or is a loop's own variable.
    fn target(&self, path: &Path) -> Result<Option<Vec<String>>, (String, String)> {
        // Names are looked up as the engine does: outwards from the innermost block.
        let scope =
            |level: usize| self.scopes.len().checked_sub(level + 1).and_then(|index| self.scopes.get(index));
        match path {
            Path::Local((level, name, raw)) => {
                const LOOP: [&str; 4] = ["index", "first", "last", "key"];
                if !LOOP.contains(&name.as_str()) {
                    let hint = match did_you_mean(name, LOOP) {
                        Some(near) => format!("did you mean `@{near}`?"),
                        None => "inside each there are @index, @first, @last and @key".to_owned(),
                    };
                    return Err((format!("unknown variable `{raw}`"), hint));
                }
                match scope(*level) {
                    Some(scope) if scope.is_loop => Ok(None),
                    _ => Err((
                        format!("`{raw}` outside a loop"),
                        "@index, @first, @last and @key exist inside {{#each …}}; outside it by one block write @../index".to_owned(),
                    )),
                }
            }
            Path::Relative((segments, raw)) => {
                let mut up = 0;
                let mut names: Vec<String> = Vec::new();
                let mut from_root = false;
                for segment in segments {
                    match segment {
                        PathSeg::Named(name) => names.push(name.clone()),
                        // The engine's rule type is private; its debug form is the rule's name.
                        PathSeg::Ruled(rule) => match format!("{rule:?}").as_str() {
                            "path_up" => up += 1,
                            "path_root" => from_root = true,
                            _ => {}
                        },
                        _ => {}
                    }
                }
                if from_root {
                    return Ok(Some(names));
                }
                if let Some(first) = names.first() {
                    let given = self
                        .scopes
                        .iter()
                        .rev()
                        .find_map(|scope| scope.params.iter().find(|(name, _)| name == first));
                    if let Some((_, target)) = given {
                        return Ok(target.as_ref().map(|base| [base, &names[1..]].concat()));
                    }
                }
                let scope = scope(up).ok_or_else(|| {
                    (
                        format!("`{raw}` leads above the data"),
                        "each `../` leaves one each or with block".to_owned(),
                    )
                })?;
                Ok(scope.base.as_ref().map(|base| [&base[..], &names[..]].concat()))
            }
        }
    }
}

/// The path as written.
pub(super) fn raw(path: &Path) -> &str {
    match path {
        Path::Relative((_, raw)) | Path::Local((_, _, raw)) => raw,
    }
}

fn as_path(name: &Parameter) -> Option<Path> {
    match name {
        Parameter::Path(path) => Some(path.clone()),
        Parameter::Name(name) => Path::parse(name).ok(),
        _ => None,
    }
}
