//! The blocks that loop and change scope, `each` and `with`.
//!
//! They do what the engine's own do, with two differences: every turn is taken off the allowance of steps, so that loops
//! in loops end, and a missing or null value takes the `{{else}}` branch instead of being a fault.

use handlebars::{
    BlockContext, BlockParams, Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output,
    PathAndJson, RenderContext, Renderable, Template,
};
use serde_json::Value;

use super::run::{self, Fault, type_name};

/// `{{#each list}}…{{else}}…{{/each}}`
pub(super) struct Each;

/// `{{#with value}}…{{else}}…{{/with}}`
pub(super) struct With;

/// Where one turn's value is: in the data, or worked out on the way.
enum Base {
    Path(Vec<String>),
    Value(Value),
}

impl Base {
    /// The value at `name` inside `whole`, which is `value`.
    fn inside(whole: &PathAndJson<'_>, name: &str, value: &Value) -> Result<Self, Fault> {
        match whole.context_path() {
            Some(path) => {
                let mut path = path.clone();
                path.push(name.to_owned());
                Ok(Base::Path(path))
            }
            None => {
                run::spend(weight(value))?;
                Ok(Base::Value(value.clone()))
            }
        }
    }

    fn enter(self, block: &mut BlockContext<'_>) {
        match self {
            Base::Path(path) => *block.base_path_mut() = path,
            Base::Value(value) => block.set_base_value(value),
        }
    }
}

impl HelperDef for Each {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let (Some(list), Some(body)) = (helper.param(0), helper.template()) else {
            return Err(Fault::new("each needs a list").into());
        };
        let turns: Vec<(Value, String, &Value)> = match list.value() {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (Value::from(index), index.to_string(), item))
                .collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, field)| (Value::from(name.as_str()), name.clone(), field)).collect()
            }
            Value::Null => Vec::new(),
            other => {
                return Err(Fault::new(format!("each needs a list, found {}", type_name(other)))
                    .about(list.relative_path())
                    .into());
            }
        };
        if turns.is_empty() {
            return match helper.inverse() {
                Some(inverse) => inverse.render(registry, context, state, out),
                None => Ok(()),
            };
        }
        let is_object = list.value().is_object();
        let steps = elements(body);
        let last = turns.len() - 1;
        state.push_block(BlockContext::new());
        for (index, (key, name, item)) in turns.into_iter().enumerate() {
            run::spend(steps)?;
            let base = Base::inside(list, &name, item)?;
            if let Some(block) = state.block_mut() {
                block.set_local_var("index", Value::from(index));
                block.set_local_var("first", Value::from(index == 0));
                block.set_local_var("last", Value::from(index == last));
                if is_object {
                    block.set_local_var("key", key.clone());
                }
                let mut names = BlockParams::new();
                if let Some(name) = helper.block_param() {
                    give(&mut names, name, &base)?;
                } else if let Some((name, position)) = helper.block_param_pair() {
                    give(&mut names, name, &base)?;
                    names.add_value(position, key)?;
                }
                block.set_block_params(names);
                base.enter(block);
            }
            body.render(registry, context, state, out)?;
        }
        state.pop_block();
        Ok(())
    }
}

impl HelperDef for With {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let (Some(value), Some(body)) = (helper.param(0), helper.template()) else {
            return Err(Fault::new("with needs a value").into());
        };
        if !value.value().is_truthy(true) {
            return match helper.inverse() {
                Some(inverse) => inverse.render(registry, context, state, out),
                None => Ok(()),
            };
        }
        run::spend(1)?;
        let base = match value.context_path() {
            Some(path) => Base::Path(path.clone()),
            None => {
                run::spend(weight(value.value()))?;
                Base::Value(value.value().clone())
            }
        };
        let mut block = BlockContext::new();
        if let Some(name) = helper.block_param() {
            let mut names = BlockParams::new();
            give(&mut names, name, &base)?;
            block.set_block_params(names);
        }
        base.enter(&mut block);
        state.push_block(block);
        body.render(registry, context, state, out)?;
        state.pop_block();
        Ok(())
    }
}

/// Makes the block's value known as `name`.
fn give<'rc>(
    names: &mut BlockParams<'rc>,
    name: &'rc str,
    base: &Base,
) -> Result<(), handlebars::RenderError> {
    match base {
        // Relative to the block's own path.
        Base::Path(_) => names.add_path(name, Vec::new()),
        Base::Value(value) => {
            run::spend(weight(value))?;
            names.add_value(name, value.clone())
        }
    }
}

/// How many elements rendering `template` once can take, loops inside it counted once.
fn elements(template: &Template) -> u64 {
    use handlebars::template::TemplateElement;
    let inside = |element: &TemplateElement| match element {
        TemplateElement::HelperBlock(block) => {
            block.template.as_ref().map_or(0, elements) + block.inverse.as_ref().map_or(0, elements)
        }
        _ => 0,
    };
    1 + template.elements.iter().map(|element| 1 + inside(element)).sum::<u64>()
}

/// What copying `value` costs in steps.
pub(super) fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + text.len() as u64 / 256,
        Value::Array(items) => 1 + items.iter().map(weight).sum::<u64>(),
        Value::Object(fields) => 1 + fields.values().map(weight).sum::<u64>(),
        _ => 1,
    }
}
