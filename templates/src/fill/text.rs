//! Text and its style.

use super::layer::Stage;
use super::scope::Filler;
use crate::check::layers::MAX_EXTENDS;
use crate::expr::Expression;
use crate::fault::{At, Fault};
use crate::template::layer::Layer;
use crate::template::read::Either;
use crate::template::scalar::{Case, NameKind, Text, TextFitKind};
use crate::template::style::{Backdrop, Style};
use crate::template::written::Written;
use crate::units::{Length, LengthUnit};
use crate::video::{Align, Color, Paint, Pill, Placement, TextBlock, TextFit, VerticalAlign};

/// The size of a text whose style gives none.
const SIZE: Length = Length { value: 5.0, unit: LengthUnit::Vmin };
const WHITE: Color = Color { r: 255, g: 255, b: 255, a: 255 };

impl Filler<'_> {
    /// The text of a layer, in its style.
    pub(super) fn text(
        &mut self,
        layer: &Layer,
        text: &Written<Text>,
        stage: &Stage,
        placement: &mut Placement,
    ) -> Option<TextBlock> {
        let words = self.get(text).map(|text| text.0);
        self.block(layer, &text.at, &[words?], stage, placement)
    }

    /// Words that were filled already, in the style of a layer; their letters change case part by part.
    pub(super) fn block(
        &mut self,
        layer: &Layer,
        at: &At,
        parts: &[String],
        stage: &Stage,
        placement: &mut Placement,
    ) -> Option<TextBlock> {
        let style = self.style(layer)?;
        let shorter = stage.width.min(stage.height);
        let size = match &style.size {
            Some(size) => self.get(size).and_then(|length| self.px(&size.at, length.0, shorter, None)),
            None => self.px(&layer.here, SIZE, shorter, None),
        };
        let size = size?;
        let case = self.opt(&style.case).unwrap_or(Case::None);
        let words = parts.iter().map(|part| self.change_case(at, part.clone(), case)).collect();
        let fit = self.fit_of(&style, size)?;
        let mut align = self.opt(&style.align);
        if placement.width.is_none() && fit != TextFit::None {
            // Lines break where there is room: from the anchor to the nearer edge of what holds the text.
            let [fx, _] = placement.anchor;
            let left = if fx > 0.0 { placement.x / fx } else { f32::INFINITY };
            let right = if fx < 1.0 { (stage.width - placement.x) / (1.0 - fx) } else { f32::INFINITY };
            let room = left.min(right);
            // Where the anchor is outside there is no room, and then the text keeps its own width.
            if room >= 1.0 && room.is_finite() {
                placement.width = Some(room);
                align = align.or(match fx {
                    0.5 => Some(Align::Center),
                    1.0 => Some(Align::Right),
                    _ => None,
                });
            }
        }
        let mut fonts = Vec::new();
        match &style.font {
            Some(Either::Short(font)) => fonts.extend(self.font(font)),
            Some(Either::Full(list)) => {
                for font in list {
                    fonts.extend(self.font(font));
                }
            }
            None => {}
        }
        let fill = match &style.color {
            Some(color) => self.paint(color).unwrap_or(Paint::Solid(WHITE)),
            None => Paint::Solid(WHITE),
        };
        let stroke = style.stroke.as_ref().and_then(|stroke| self.stroke(stroke, size, Some(size)));
        let letter_spacing = match &style.letter_spacing {
            Some(spacing) => {
                let length = self.get(spacing)?.0;
                self.px(&spacing.at, length, size, Some(size))?
            }
            None => 0.0,
        };
        let pill = style.pill.as_ref().and_then(|pill| self.pill(pill, size));
        Some(TextBlock {
            text: words,
            fonts,
            size,
            weight: self.opt(&style.weight).map_or(400, |weight| weight.0),
            italic: self.opt(&style.italic).is_some_and(|italic| italic.0),
            fill,
            stroke,
            letter_spacing,
            line_height: self.opt(&style.line_height).map(|height| height.0),
            align: align.unwrap_or_default(),
            vertical: self.opt(&style.valign).unwrap_or(VerticalAlign::Top),
            fit,
            pill,
            marked: None,
        })
    }

    /// The style of a layer, with what it extends.
    fn style(&mut self, layer: &Layer) -> Option<Style> {
        match &layer.style {
            None => Some(empty(&layer.here)),
            Some(Either::Full(style)) => self.extended(style),
            Some(Either::Short(name)) => {
                let wanted = self.get(name)?.0;
                self.named_style(&name.at, &wanted)
            }
        }
    }

    fn named_style(&mut self, at: &At, name: &str) -> Option<Style> {
        let document = self.template.document();
        if let Err((message, hint)) = crate::check::name_of(document, self.world, NameKind::Style, name) {
            self.faults.push(Fault::new(at, message).hint_if(hint));
            return None;
        }
        let style = document.styles.get(name)?;
        self.extended(style)
    }

    fn extended(&mut self, style: &Style) -> Option<Style> {
        let styles = &self.template.document().styles;
        let mut whole = style.clone();
        for _ in 0..=MAX_EXTENDS {
            let Some(base) = whole.extends.take() else { break };
            whole = whole.over(styles.get(&base.value.0)?);
            whole.extends = styles.get(&base.value.0)?.extends.clone();
        }
        Some(whole)
    }

    fn fit_of(&mut self, style: &Style, size: f32) -> Option<TextFit> {
        let max_lines = self.opt(&style.max_lines).map_or(1, |lines| lines.0);
        Some(match self.opt(&style.fit).unwrap_or(TextFitKind::Wrap) {
            TextFitKind::None => TextFit::None,
            TextFitKind::Wrap => TextFit::Wrap,
            TextFitKind::Ellipsis => TextFit::Ellipsis { max_lines },
            TextFitKind::Shrink => {
                let min_size = match &style.min_size {
                    Some(least) => {
                        let length = self.get(least)?.0;
                        self.px(&least.at, length, size, Some(size))?.min(size)
                    }
                    None => size / 2.0,
                };
                TextFit::Shrink { max_lines, min_size }
            }
        })
    }

    fn pill(&mut self, pill: &Backdrop, size: f32) -> Option<Pill> {
        let color = self.get(&pill.color)?.0;
        let padding = match &pill.padding {
            None => [size * 0.5, size * 0.25],
            Some(Either::Short(both)) => {
                let length = self.get(both)?.0;
                let pixels = self.px(&both.at, length, size, Some(size))?;
                [pixels, pixels]
            }
            Some(Either::Full([horizontal, vertical])) => {
                let mut padding = [0.0; 2];
                for (pixels, written) in padding.iter_mut().zip([horizontal, vertical]) {
                    let length = self.get(written)?.0;
                    *pixels = self.px(&written.at, length, size, Some(size))?;
                }
                padding
            }
        };
        let radius = match &pill.radius {
            Some(written) => {
                let length = self.get(written)?.0;
                self.px(&written.at, length, size, Some(size))?
            }
            None => 0.0,
        };
        Some(Pill { color, padding, radius })
    }

    /// Letters change by the viewer's language: a Turkish i has a dot in capitals too.
    fn change_case(&mut self, at: &At, words: String, case: Case) -> String {
        let source = match case {
            Case::None => return words,
            Case::Upper => "{{upper words}}",
            Case::Lower => "{{lower words}}",
            Case::Title => "{{title words}}",
        };
        let scope = serde_json::json!({ "words": words });
        let changed = Expression::parse(source).and_then(|change| change.render(&scope, &self.locale));
        changed.unwrap_or_else(|error| {
            self.faults.push(Fault::new(at, error.message));
            words
        })
    }
}

/// A style that says nothing.
fn empty(here: &At) -> Style {
    Style {
        here: here.clone(),
        extends: None,
        font: None,
        size: None,
        weight: None,
        italic: None,
        color: None,
        stroke: None,
        letter_spacing: None,
        line_height: None,
        align: None,
        valign: None,
        fit: None,
        max_lines: None,
        min_size: None,
        pill: None,
        case: None,
    }
}
