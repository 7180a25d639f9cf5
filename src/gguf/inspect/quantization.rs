//! Which types the tensors of each role have.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::gguf::{DType, Model, Role, Tensor};
use crate::units::Bytes;

/// One role and its types, the type with the most bytes first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoleTypes {
    pub role: Role,
    pub tensors: usize,
    pub bytes: Bytes,
    /// Bits per weight, scales included.
    pub bits: f64,
    pub types: Vec<TypeShare>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TypeShare {
    pub dtype: DType,
    pub tensors: usize,
    pub bytes: Bytes,
}

pub(super) fn of(model: &Model) -> Vec<RoleTypes> {
    let mut roles: BTreeMap<Role, Vec<&Tensor>> = BTreeMap::new();
    for tensor in &model.tensors {
        roles.entry(tensor.role).or_default().push(tensor);
    }
    let mut roles: Vec<RoleTypes> =
        roles.into_iter().map(|(role, tensors)| types(role, &tensors)).collect();
    roles.sort_by_key(|role| std::cmp::Reverse(role.bytes));
    roles
}

fn types(role: Role, tensors: &[&Tensor]) -> RoleTypes {
    let mut types: BTreeMap<DType, TypeShare> = BTreeMap::new();
    let mut elements = 0.0;
    for tensor in tensors {
        let share = TypeShare { dtype: tensor.dtype, tensors: 0, bytes: Bytes::ZERO };
        let share = types.entry(tensor.dtype).or_insert(share);
        share.tensors += 1;
        share.bytes = share.bytes.saturating_add(tensor.bytes);
        elements += tensor.elements() as f64;
    }
    let mut types: Vec<TypeShare> = types.into_values().collect();
    types.sort_by_key(|share| std::cmp::Reverse(share.bytes));
    let bytes = types.iter().fold(Bytes::ZERO, |sum, share| sum.saturating_add(share.bytes));
    let bits = if elements > 0.0 { 8.0 * bytes.0 as f64 / elements } else { 0.0 };
    RoleTypes { role, tensors: tensors.len(), bytes, bits, types }
}
