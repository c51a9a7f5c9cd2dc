//! The model on the processor: all rows of a batch through one set of weights, by kernels of our own.
//!
//! A pass takes tokens of many rows, without padding: the next token of rows that are being answered, and prompts of rows that begin. What
//! comes out for a row has the same bits whatever other rows are there, and however the work is divided.

use illume_core::{Error, Result};
use illume_numerics::LANES;
use illume_numerics::Level;
use illume_numerics::transformer::ops::{gate, rms_norm, rotate};
use illume_numerics::transformer::{
    Attention, CodeBuffers, Codes, Extra, Matrix, Packed, Product, Start, Team, apart, attend,
};
use rayon::prelude::*;

use super::adapters::{Adapters, GROUPS, GroupAdapters};
use super::cache::{Cache, Shared};
use super::{Precision, Source};
use crate::array::Array;
use crate::config::ModelConfig;

/// Models up to this many bytes stay in every thread's cache: threads take rows of their own through the whole model, and wait for one another
/// once in a pass instead of six times in each layer.
const SMALL_MODEL: u64 = 24 << 20;

#[derive(Debug)]
pub(crate) struct Native {
    pub config: ModelConfig,
    pub level: Level,
    pub layers: Vec<Layer>,
    pub norm: Vec<f32>,
    /// The embedding, which is the head too if the model is tied.
    pub embedding: Packed,
    pub head: Option<Packed>,
}

#[derive(Debug)]
pub(crate) struct Layer {
    pub attention_norm: Vec<f32>,
    /// Queries, keys and values.
    pub qkv: Packed,
    /// Their bias, in the places of the outputs; empty without.
    pub bias: Vec<f32>,
    pub o: Packed,
    pub mlp_norm: Vec<f32>,
    pub gate_up: Packed,
    pub down: Packed,
}

/// Tokens of one row in a pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub slot: usize,
    pub member: u32,
    /// Position of the first token in the row.
    pub position: usize,
    /// First token in the pass, and how many.
    pub at: usize,
    pub len: usize,
    /// Whether the distribution of the token after the last is wanted.
    pub last: bool,
}

/// Buffers of a pass.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    h: Vec<f32>,
    x: Vec<f32>,
    qkv: Vec<f32>,
    attention: Vec<f32>,
    gate_up: Vec<f32>,
    act: Vec<f32>,
    z: Vec<f32>,
    logits: Vec<f32>,
    codes: CodeBuffers,
    members: Vec<u32>,
    starts: Vec<usize>,
}

/// The maps of one group of one layer.
fn packed(
    config: &ModelConfig,
    source: &dyn Source,
    precision: Precision,
    group: usize,
    layer: usize,
) -> Result<Packed> {
    let modules = GROUPS[group];
    let maps: Vec<Vec<f32>> = modules
        .iter()
        .map(|m| source.values(&format!("{}.weight", m.path(layer))))
        .collect::<Result<_>>()?;
    let maps: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
    let inputs = config.module_dims(modules[0]).0;
    if let Precision::Int4 { group } = precision
        && (group == 0 || !inputs.is_multiple_of(group))
    {
        return Err(Error::input(format!(
            "int4 weights in groups of {group} need a multiple of {group} inputs, and the model has a linear map of {inputs}"
        )));
    }
    Ok(Packed::new(&maps, inputs, precision))
}

impl Native {
    pub fn load(config: &ModelConfig, source: &dyn Source, precision: Precision) -> Result<Native> {
        // As is usual, four bits are for the layers only: the head decides between tokens, and has eight.
        let head_precision = match precision {
            Precision::Int4 { .. } => Precision::Int8,
            other => other,
        };
        let weights = |group: usize, layer: usize| packed(config, source, precision, group, layer);
        let mut layers = Vec::new();
        for i in 0..config.layers {
            let qkv = weights(0, i)?;
            let mut bias = Vec::new();
            if config.attention_bias {
                bias = vec![0.0; qkv.outputs()];
                for (module, start) in GROUPS[0].iter().zip(&qkv.starts) {
                    let values = source.values(&format!("{}.bias", module.path(i)))?;
                    bias[*start..start + values.len()].copy_from_slice(&values);
                }
            }
            layers.push(Layer {
                attention_norm: source.values(&format!("model.layers.{i}.input_layernorm.weight"))?,
                qkv,
                bias,
                o: weights(1, i)?,
                mlp_norm: source.values(&format!("model.layers.{i}.post_attention_layernorm.weight"))?,
                gate_up: weights(2, i)?,
                down: weights(3, i)?,
            });
        }
        let vocabulary =
            |name: &str| -> Result<Packed> { Ok(Packed::new(&[&source.values(name)?], config.hidden, head_precision)) };
        Ok(Native {
            config: config.clone(),
            level: Level::best(),
            layers,
            norm: source.values("model.norm.weight")?,
            embedding: vocabulary("model.embed_tokens.weight")?,
            head: if config.tied {
                None
            } else {
                Some(vocabulary("lm_head.weight")?)
            },
        })
    }

    /// Makes the linear maps of all layers anew.
    pub fn reload(&mut self, source: &dyn Source, precision: Precision) -> Result<()> {
        let config = &self.config;
        self.layers.par_iter_mut().enumerate().try_for_each(|(i, layer)| {
            let maps = [&mut layer.qkv, &mut layer.o, &mut layer.gate_up, &mut layer.down];
            maps.into_iter().enumerate().try_for_each(|(group, map)| {
                *map = packed(config, source, precision, group, i)?;
                Ok(())
            })
        })
    }

    pub fn weight_bytes(&self) -> u64 {
        let norms: usize = self
            .layers
            .iter()
            .map(|l| l.attention_norm.len() + l.bias.len() + l.mlp_norm.len())
            .sum();
        let maps = self
            .layers
            .iter()
            .map(|l| l.qkv.bytes() + l.o.bytes() + l.gate_up.bytes() + l.down.bytes());
        let head = self.head.as_ref().map_or(0, Packed::bytes);
        (norms + self.norm.len()) as u64 * 4 + maps.sum::<u64>() + self.embedding.bytes() + head
    }

    /// The weights as they are used, by the names of a checkpoint.
    pub fn dequantized(&self) -> Vec<(String, Array)> {
        let rows = |map: &Packed, start: usize, outputs: usize| {
            let mut values = vec![0.0; outputs * map.inputs];
            for (o, row) in values.chunks_exact_mut(map.inputs).enumerate() {
                map.row(start + o, row);
            }
            values
        };
        let mut values = std::collections::HashMap::new();
        let c = &self.config;
        for (i, layer) in self.layers.iter().enumerate() {
            for (modules, map) in GROUPS.iter().zip([&layer.qkv, &layer.o, &layer.gate_up, &layer.down]) {
                for (module, start) in modules.iter().zip(&map.starts) {
                    let outputs = c.module_dims(*module).1;
                    values.insert(format!("{}.weight", module.path(i)), rows(map, *start, outputs));
                    if let Some(bias) = layer.bias.get(*start..start + outputs).filter(|_| modules.len() == 3) {
                        values.insert(format!("{}.bias", module.path(i)), bias.to_vec());
                    }
                }
            }
            values.insert(
                format!("model.layers.{i}.input_layernorm.weight"),
                layer.attention_norm.clone(),
            );
            values.insert(
                format!("model.layers.{i}.post_attention_layernorm.weight"),
                layer.mlp_norm.clone(),
            );
        }
        values.insert("model.norm.weight".into(), self.norm.clone());
        values.insert("model.embed_tokens.weight".into(), rows(&self.embedding, 0, c.vocab));
        if let Some(head) = &self.head {
            values.insert("lm_head.weight".into(), rows(head, 0, c.vocab));
        }
        let mut array = |(name, shape): (String, Vec<usize>)| {
            let array = Array::new(&shape, values.remove(&name).expect("all of the model's are there"));
            (name, array)
        };
        c.tensors().into_iter().map(&mut array).collect()
    }

    /// As [`Native::pass`], by all threads.
    pub fn step(
        &self,
        tokens: &[u32],
        segments: &[Segment],
        cache: &Shared,
        adapters: &Adapters,
        scratch: &mut Vec<Scratch>,
        pick: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let threads = rayon::current_num_threads();
        let apart = threads > 1 && self.weight_bytes() <= SMALL_MODEL && segments.len() >= 2 * threads;
        let teams = if apart { threads } else { 1 };
        scratch.resize_with(teams.max(scratch.len()), Scratch::default);
        if !apart {
            return self.pass(Team::Pool, tokens, segments, cache, adapters, &mut scratch[0], pick);
        }
        // Each team takes the segments that end within its share of the tokens.
        let mut cuts = vec![0];
        for team in 1..=teams {
            let end = tokens.len() * team / teams;
            cuts.push(segments.partition_point(|s| s.at + s.len <= end));
        }
        scratch[..teams]
            .par_iter_mut()
            .enumerate()
            .with_max_len(1)
            .for_each(|(team, scratch)| {
                let (from, to) = (cuts[team], cuts[team + 1]);
                let Some(first) = segments[from..to].first().map(|s| s.at) else {
                    return;
                };
                let mine: Vec<Segment> = segments[from..to]
                    .iter()
                    .map(|s| Segment { at: s.at - first, ..*s })
                    .collect();
                let end = segments[to - 1].at + segments[to - 1].len;
                let pick = |i: usize, logits: &mut [f32]| pick(from + i, logits);
                self.pass(Team::Alone, &tokens[first..end], &mine, cache, adapters, scratch, &pick);
            });
    }

    #[expect(clippy::too_many_arguments, reason = "what a pass reads, apart from what it writes")]
    /// Runs the tokens of a pass, and calls `pick` with the number of each segment that wants it and the logits of its next token.
    pub fn pass(
        &self,
        team: Team,
        tokens: &[u32],
        segments: &[Segment],
        cache: &Shared,
        adapters: &Adapters,
        s: &mut Scratch,
        pick: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) {
        let c = &self.config;
        let rows = tokens.len();
        s.members.clear();
        for segment in segments {
            s.members.extend(std::iter::repeat_n(segment.member, segment.len));
        }
        adapters.starts(&s.members, &mut s.starts);
        let (members, starts) = (&s.members, &s.starts);
        let hidden = Matrix::new(&mut s.h, rows, c.hidden);
        let x = Matrix::new(&mut s.x, rows, c.hidden);
        let qkv = Matrix::new(&mut s.qkv, rows, self.layers[0].qkv.outputs());
        let queries = c.heads * c.head_dim;
        let attention = Matrix::new(&mut s.attention, rows, queries);
        let gate_up = Matrix::new(&mut s.gate_up, rows, apart(self.layers[0].gate_up.outputs()));
        let act = Matrix::new(&mut s.act, rows, c.intermediate);
        let z = Matrix::new(&mut s.z, rows, adapters.width());
        let codes = &mut s.codes;

        // A stage ends before what its tasks wrote is read; so what is to be shown below is that tasks of one stage keep apart.
        team.each_part(rows, |rows| {
            for row in rows {
                // SAFETY: a row is in one part.
                self.embedding.row(tokens[row] as usize, unsafe { hidden.row(row) });
            }
        });
        for (number, layer) in self.layers.iter().enumerate() {
            let norm = |weight: &[f32], prepared: &GroupAdapters| {
                team.each_part(rows, |rows| {
                    for row in rows.clone() {
                        // SAFETY: a row is in one part, in both matrices.
                        unsafe { rms_norm(hidden.row(row), weight, c.rms_eps as f32, x.row(row)) };
                    }
                    // SAFETY: as above; this part has just written these rows of x.
                    unsafe { prepared.down(self.level, rows, x, z, members) };
                });
            };

            let prepared = adapters.group(number, 0);
            norm(&layer.attention_norm, &prepared);
            let start = if layer.bias.is_empty() {
                Start::Zero
            } else {
                Start::Bias(&layer.bias)
            };
            // SAFETY: nothing writes z before the extras' last use.
            let extras = prepared.extras(unsafe { z.all() }, z.ld, members, starts);
            self.product(team, &layer.qkv, x, start, &extras, qkv, codes);

            let prepared = adapters.group(number, 1);
            team.each_part(segments.len(), |part| {
                let mine = &segments[part];
                let mut room = Vec::new();
                for segment in mine {
                    // SAFETY: a segment is in one part, and segments have rows and slots of their own.
                    unsafe { self.attend(layer, number, segment, cache, qkv, attention, &mut room) };
                }
                if let [first, ..] = mine {
                    let tokens = first.at..first.at + mine.iter().map(|s| s.len).sum::<usize>();
                    // SAFETY: the rows of these segments, which follow one another.
                    unsafe { prepared.down(self.level, tokens, attention, z, members) };
                }
            });
            // SAFETY: nothing writes z before the extras' last use.
            let extras = prepared.extras(unsafe { z.all() }, z.ld, members, starts);
            self.product(team, &layer.o, attention, Start::Output, &extras, hidden, codes);

            let prepared = adapters.group(number, 2);
            norm(&layer.mlp_norm, &prepared);
            // SAFETY: nothing writes z before the extras' last use.
            let extras = prepared.extras(unsafe { z.all() }, z.ld, members, starts);
            let product = Product {
                weights: &layer.gate_up,
                // SAFETY: the tasks of this product write other matrices.
                x: unsafe { x.all() },
                x_ld: x.ld,
                start: Start::Zero,
                extras: &extras,
                y: gate_up,
            };
            let rounded = self.codes(team, &layer.gate_up, x, codes);
            let up = layer.gate_up.starts[1];
            let panels = up / LANES;
            team.each_part(panels, |mine| {
                let mut room = Vec::new();
                // SAFETY: a panel is in one part, and so is the one of the other map with the same number.
                unsafe {
                    product.panels(self.level, mine.clone(), rounded.as_ref(), &mut room);
                    let others = panels + mine.start..panels + mine.end;
                    product.panels(self.level, others, rounded.as_ref(), &mut room);
                }
                let columns = mine.start * LANES..(mine.end * LANES).min(c.intermediate);
                let upper = up + columns.start..up + columns.end;
                for row in 0..rows {
                    // SAFETY: the columns of this part's panels, in each of the matrices.
                    unsafe {
                        let (gates, ups) = (gate_up.piece(row, columns.clone()), gate_up.piece(row, upper.clone()));
                        gate(gates, ups, act.piece(row, columns.clone()));
                    }
                }
            });

            let prepared = adapters.group(number, 3);
            if !prepared.is_none() {
                // SAFETY: a row is in one part, in both matrices.
                team.each_part(rows, |rows| unsafe { prepared.down(self.level, rows, act, z, members) });
            }
            // SAFETY: nothing writes z before the extras' last use.
            let extras = prepared.extras(unsafe { z.all() }, z.ld, members, starts);
            self.product(team, &layer.down, act, Start::Output, &extras, hidden, codes);
        }

        let wanted: Vec<usize> = (0..segments.len()).filter(|i| segments[*i].last).collect();
        let rows = wanted.len();
        team.each(rows, |i| {
            let segment = &segments[wanted[i]];
            // SAFETY: each segment has a last row of its own, and its own row of x.
            unsafe {
                let from = hidden.row(segment.at + segment.len - 1);
                rms_norm(from, &self.norm, c.rms_eps as f32, x.row(i));
            }
        });
        let head = self.head.as_ref().unwrap_or(&self.embedding);
        let logits = Matrix::new(&mut s.logits, rows, apart(head.outputs()));
        self.product(team, head, x.part(0..rows), Start::Zero, &[], logits, codes);
        team.each_part(rows, |rows| {
            for row in rows {
                // SAFETY: a row is in one part.
                pick(wanted[row], unsafe { &mut logits.row(row)[..c.vocab] });
            }
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a product reads, writes and has as memory"
    )]
    fn product(
        &self,
        team: Team,
        weights: &Packed,
        x: Matrix,
        start: Start,
        extras: &[Extra],
        y: Matrix,
        codes: &mut CodeBuffers,
    ) {
        let product = Product {
            weights,
            // SAFETY: tasks write to `y` alone while the product runs.
            x: unsafe { x.all() },
            x_ld: x.ld,
            start,
            extras,
            y,
        };
        product.run(self.level, team, self.codes(team, weights, x, codes).as_ref());
    }

    /// The inputs of a product in eight bits, if its weights are.
    fn codes<'a>(&self, team: Team, weights: &Packed, x: Matrix, buffers: &'a mut CodeBuffers) -> Option<Codes<'a>> {
        // SAFETY: nobody writes to them in the meantime.
        Codes::new(buffers, (unsafe { x.all() }, x.ld), weights, self.level, team)
    }

    /// Stores keys and values of a segment's tokens, and attends from each to all up to itself.
    ///
    /// # Safety
    /// The segment's slot and rows are this task's.
    #[expect(clippy::too_many_arguments, reason = "one stage of the pass above")]
    unsafe fn attend(
        &self,
        layer: &Layer,
        number: usize,
        segment: &Segment,
        cache: &Shared,
        qkv: Matrix,
        out: Matrix,
        room: &mut Vec<f32>,
    ) {
        let c = &self.config;
        let d = c.head_dim;
        let [_, keys, values, _] = layer.qkv.starts[..] else {
            unreachable!("queries, keys and values are packed together")
        };
        // SAFETY: the caller's promise.
        let mut slot = unsafe { cache.slot(number, segment.slot) };
        let cache = cache.cache;
        for i in 0..segment.len {
            let position = segment.position + i;
            let (cos, sin) = cache.angles(position);
            // SAFETY: as above.
            let row = unsafe { qkv.row(segment.at + i) };
            let (q, kv) = row.split_at_mut(keys);
            for head in q[..c.heads * d].chunks_exact_mut(d) {
                rotate(head, cos, sin);
            }
            let (k, v) = kv.split_at_mut(values - keys);
            for head in 0..c.kv_heads {
                let key = &mut k[head * d..(head + 1) * d];
                rotate(key, cos, sin);
                cache.put(&mut slot, head, position, key, &v[head * d..(head + 1) * d]);
            }
        }
        let group = c.heads / c.kv_heads * d;
        for i in 0..segment.len {
            // SAFETY: as above.
            let (q, out) = unsafe { (qkv.row(segment.at + i), out.row(segment.at + i)) };
            for head in 0..c.kv_heads {
                let (keys, values) = cache.head(&slot, head);
                let job = Attention {
                    queries: &q[head * group..(head + 1) * group],
                    head_dim: d,
                    keys,
                    values,
                    width: cache.width,
                    length: segment.position + i + 1,
                    out: &mut out[head * group..(head + 1) * group],
                };
                attend(self.level, job, room);
            }
        }
    }
}

impl Native {
    pub fn cache(&self) -> Cache {
        Cache::new(&self.config)
    }
}
