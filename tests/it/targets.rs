//! What the targets other than Compose are given, judged by the programs that read it.

mod kubernetes;
mod quadlet;
mod replicas;
mod split;
mod swarm;
