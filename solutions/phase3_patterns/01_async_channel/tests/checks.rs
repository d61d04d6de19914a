extern crate async_channel_solution as async_channel;
#[path = "../../../../exercises/phase3_patterns/01_async_channel/tests/checks/main.rs"]
mod checks;
