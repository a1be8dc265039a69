//! In which order named values, words and generated things are filled: each after what it uses.

use std::collections::BTreeMap;

use crate::expr::Expression;
use crate::fault::{At, Fault, Faults};
use crate::template::document::Document;
use crate::template::layer::Repeat;
use crate::template::read::{Read, Visit};
use crate::template::scalar::NameKind;

/// Something that is filled once, before the scenes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// An entry of `vars`, by its index.
    Var(usize),
    /// An entry of `strings`, by its index.
    Words(usize),
    /// An entry of `generate`, by its index.
    Generator(usize),
}

/// The name by which expressions use an item of the template: `vars.x`, `t.x`, or the name of a generator.
pub(crate) fn key(path: &[String]) -> Option<String> {
    match path {
        [root, name, ..] if root == "vars" || root == "t" => Some(format!("{root}.{name}")),
        [root, ..] => Some(root.clone()),
        [] => None,
    }
}

/// The order in which to fill everything that is filled once.
///
/// # Errors
/// Values that use each other in a circle.
pub(crate) fn order(document: &Document) -> Result<Vec<Item>, Faults> {
    let mut items: Vec<(Item, String, &At, Vec<String>)> = Vec::new();
    for (index, (name, at, value)) in document.vars.entries.iter().enumerate() {
        items.push((Item::Var(index), format!("vars.{name}"), at, uses(value)));
    }
    for (index, (name, at, words)) in document.strings.entries.iter().enumerate() {
        items.push((Item::Words(index), format!("t.{name}"), at, uses(words)));
    }
    for (index, (name, at, generator)) in document.generate.entries.iter().enumerate() {
        let mut used = uses(generator);
        for asset in generator.assets(document) {
            used.extend(uses(asset));
        }
        items.push((Item::Generator(index), name.clone(), at, used));
    }
    let index_of: BTreeMap<&str, usize> =
        items.iter().enumerate().map(|(index, (_, key, ..))| (key.as_str(), index)).collect();
    let mut waits = vec![0usize; items.len()];
    let mut waited_for: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for (index, (.., uses)) in items.iter().enumerate() {
        for used in uses {
            // `{{vars}}` as a whole is everything under it.
            let whole = matches!(used.as_str(), "vars" | "t");
            let range = match whole {
                true => index_of
                    .range(used.as_str()..)
                    .filter(|(key, _)| key.starts_with(&format!("{used}.")))
                    .collect(),
                false => index_of.get_key_value(used.as_str()).into_iter().collect::<Vec<_>>(),
            };
            for (_, other) in range {
                waits[index] += 1;
                waited_for[*other].push(index);
            }
        }
    }
    let mut ready: std::collections::VecDeque<usize> =
        (0..items.len()).filter(|index| waits[*index] == 0).collect();
    let mut order = Vec::with_capacity(items.len());
    while let Some(index) = ready.pop_front() {
        order.push(items[index].0);
        for waiting in &waited_for[index] {
            waits[*waiting] -= 1;
            if waits[*waiting] == 0 {
                ready.push_back(*waiting);
            }
        }
    }
    let stuck: Vec<usize> = (0..items.len()).filter(|index| waits[*index] > 0).collect();
    let Some(first) = stuck.first() else { return Ok(order) };
    // Whoever is stuck waits for someone stuck, so walking on must come round.
    let mut round = vec![*first];
    loop {
        let last = round[round.len() - 1];
        let uses = &items[last].3;
        let next =
            uses.iter().filter_map(|used| index_of.get(used.as_str())).find(|index| waits[**index] > 0);
        let Some(next) = next else { break };
        if let Some(start) = round.iter().position(|index| index == next) {
            round.drain(..start);
            break;
        }
        round.push(*next);
    }
    let names: Vec<String> =
        round.iter().chain(round.first()).take(9).map(|index| format!("`{}`", items[*index].1)).collect();
    let fault =
        Fault::new(items[round[0]].2, format!("these use each other in a circle: {}", names.join(" → ")));
    Err(fault.hint("let one of them do without the other").into())
}

/// What a part of the template uses, by [`key`].
fn uses(part: &impl Read) -> Vec<String> {
    struct Uses(Vec<String>);
    impl Visit for Uses {
        fn expression(&mut self, _: &At, _: &str, expression: &Expression, _: Option<NameKind>) {
            self.0.extend(expression.references().iter().filter_map(|reference| key(&reference.path)));
        }
        fn name(&mut self, _: &At, _: NameKind, _: &str) {}
        fn enter(&mut self, _: Option<&Repeat>) {}
        fn leave(&mut self) {}
    }
    let mut uses = Uses(Vec::new());
    part.visit(&mut uses);
    uses.0.sort();
    uses.0.dedup();
    uses.0
}
