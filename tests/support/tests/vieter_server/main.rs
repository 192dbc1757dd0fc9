//! The stand-in package server against the description of the real ones, line by line.
//!
//! The requests are written to the socket by hand: a client library would hide the quirks.

mod both;
mod pacman;
mod repos02;
mod trouble;
mod v1;
mod wire;
