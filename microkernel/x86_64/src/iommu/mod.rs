//! Whether DMA can be held in check. This kernel reports a remapping unit but does not program it yet, so no device is
//! confined: `BootInfo` says so, and so does the boot log.

use kernel_x86_64::firmware::acpi::Acpi;

/// Says what there is, and returns whether DMA is confined.
pub fn report(acpi: &Acpi) -> bool {
    if acpi.has_dma_remapping {
        crate::say!("DMA is NOT isolated: the IOMMU is not in use");
    } else {
        crate::say!("DMA is NOT isolated: no IOMMU was found");
    }
    false
}
