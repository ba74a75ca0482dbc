//! The worker: the whole way through it, what it carries alone, and its memory.

mod alone;
mod memory;
mod started;
mod way;

use std::path::Path;

use anyhow::Result;

use self::started::Over;
use crate::{figure::Report, plan::Plan};

pub(super) async fn measure(proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for over in Over::ALL {
        way::measure(over, proxy, plan, report).await?;
    }
    for over in Over::ALL {
        alone::measure(over, proxy, plan, report).await?;
    }
    memory::measure(proxy, plan, report).await
}
