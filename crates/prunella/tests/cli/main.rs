//! The command line through the real binary: what people and scripts see.

mod bad_input;
mod deploying;
mod diagnose;
mod docs;
mod doctor;
mod doubts;
mod heal;
mod help;
mod history;
mod init;
mod learn;
mod llm;
mod mending;
mod pages;
mod refuting;
mod rust;
mod shadow;
mod templates;
mod verify;
mod world;
