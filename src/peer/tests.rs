//! Peers on a network in memory, under a virtual clock.

mod net;
mod ring;
