//! Peers on a network in memory, under a virtual clock.

mod applications;
mod attaching;
mod churn;
mod client;
mod configure;
mod explore;
mod favors;
mod forwarding;
mod holders;
mod joining;
mod messages;
mod net;
mod partitions;
mod real;
mod registration;
mod reroute;
mod ring;
mod surplus;
mod unlinked;
