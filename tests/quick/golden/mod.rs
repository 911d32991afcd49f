//! Golden files: outputs that must not change unnoticed. `BLESS=1` writes them again.

mod causes;
mod examples;
mod records;
mod servers_chosen;
