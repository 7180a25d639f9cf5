//! Multi-head latent attention: the cache holds one compressed row per token.

use super::super::graph::{Id, Op};
use super::super::keys;
use super::Builder;
use super::attention::Attention;

impl Builder<'_> {
    pub(super) fn latent(&mut self, il: usize, x: Id, rotated: bool) -> Option<Id> {
        let tokens = self.setup.tokens;
        let key = |key: &str| self.model.arch_u64(key);
        let heads = self.heads(il)?;
        let (rank, rope) = (key("attention.kv_lora_rank")?, key("rope.dimension_count")?);
        let absorbed = self.model.latent.is_some_and(|latent| latent.key_length > 0);
        let width = self.model.latent.map_or(heads.key, |latent| latent.key_length);
        let values = self.model.latent.map_or(heads.value, |latent| latent.value_length);
        let nope = width.checked_sub(rope)?;
        let q = if self.has(il, "attn_q.weight") {
            self.linear(il, "attn_q", x)?
        } else {
            let q = self.linear(il, "attn_q_a", x)?;
            let q = self.norm(Op::RmsNorm, q, il, "attn_q_a_norm");
            self.linear(il, "attn_q_b", q)?
        };
        let q = self.g.reshape(q, [width, heads.q, tokens, 1]);
        let compressed = self.linear(il, "attn_kv_a_mqa", x)?;
        let row = (rank + rope) * 4;
        let kv = self.g.view_2d(compressed, [rank, tokens], row, 0);
        let k_rope = self.g.view_3d(compressed, [rope, 1, tokens], [row, row], rank * 4);
        let pos = self.pos();
        let k_rope = if rotated { self.g.rope(k_rope, pos, None) } else { k_rope };
        if absorbed {
            let kv = self.norm(Op::RmsNorm, kv, il, "attn_kv_a_norm");
            return self.absorbed(il, [q, kv, k_rope], [nope, rope, rank, heads.q], rotated);
        }
        let q = if rotated { self.g.rope(q, pos, None) } else { q };
        let q = self.tempered(q);
        let kv = self.norm(Op::RmsNorm, kv, il, "attn_kv_a_norm");
        let kv = self.linear(il, "attn_kv_b", kv)?;
        let row = (nope + values) * 4;
        let keys = self.g.view_3d(kv, [nope, heads.q, tokens], [row, row * heads.q], 0);
        let v = self.g.view_3d(kv, [values, heads.q, tokens], [row, row * heads.q], nope * 4);
        let v = self.g.cont(v);
        let k_rope = self.g.repeat(k_rope, [rope, heads.q, tokens, 1]);
        let k = self.g.concat(keys, k_rope, 0);
        let how = Attention { out: Some("attn_output"), ..Attention::default() };
        self.attention(il, [q, k, v], how)
    }

    /// Queries are brought into the latent space, so that the cache is read as it is.
    fn absorbed(
        &mut self,
        il: usize,
        [q, kv, k_rope]: [Id; 3],
        [nope, rope, rank, heads]: [u64; 4],
        rotated: bool,
    ) -> Option<Id> {
        let tokens = self.setup.tokens;
        let nb = self.g[q].nb;
        let plain = self.g.view_3d(q, [nope, heads, tokens], [nb[1], nb[2]], 0);
        let turned = self.g.view_3d(q, [rope, heads, tokens], [nb[1], nb[2]], nope * 4);
        let pos = self.pos();
        let turned = if rotated { self.g.rope(turned, pos, None) } else { turned };
        let plain = self.g.permute(plain, [0, 2, 1, 3]);
        let k_b = self.w(il, "attn_k_b.weight")?;
        let plain = self.g.mul_mat(k_b, plain);
        let plain = self.g.permute(plain, [0, 2, 1, 3]);
        let q = self.g.concat(plain, turned, 0);
        let q = self.tempered(q);
        let v = self.g.reshape(kv, [rank, 1, tokens, 1]);
        let k = self.g.concat(v, k_rope, 0);
        for id in [q, v, k] {
            self.g.expand(id);
        }
        let cache = self.cache(il, false)?;
        let ids = self.k_ids(0);
        let stored = self.store(cache, k, ids);
        self.g.expand(stored);
        let k = self.cached_keys(il, cache)?;
        let (ne, nb) = (self.g[k].ne, self.g[k].nb);
        let v = self.g.view(k, [rank, ne[1], ne[2], ne[3]], [nb[1], nb[2], nb[3]], 0);
        let v_mla = self.w(il, "attn_v_b.weight")?;
        let how = Attention { v_mla: Some(v_mla), ..Attention::default() };
        let cur = self.attend(il, q, [k, v], how);
        self.project(il, cur, Some("attn_output"))
    }

    /// Queries grow with the position in models that say so.
    fn tempered(&mut self, q: Id) -> Id {
        if keys::is_set(self.model, "attention.temperature_scale") {
            let scale = self.attn_scale();
            self.g.mul(q, scale)
        } else {
            q
        }
    }
}
