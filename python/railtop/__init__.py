"""RDMA traffic per NIC beside the slices of a profiler.

    import railtop

    with railtop.Sampler(interval=0.01) as nics:
        work()
    nics.merge("trace.json")  # of VizTracer or torch.profiler

A native thread reads the counters of this machine's RDMA NICs; Python's interpreter lock is neither needed nor held
meanwhile. See docs/python.md in the repository.
"""

from ._library import LibraryNotFound, RailtopError, library_version
from .sampler import Balance, Group, Nic, Overflow, Sample, Sampler, Status
from .trace import UnknownClock, merge

__all__ = [
    "Balance",
    "Group",
    "LibraryNotFound",
    "Nic",
    "Overflow",
    "RailtopError",
    "Sample",
    "Sampler",
    "Status",
    "UnknownClock",
    "library_version",
    "merge",
]
__version__ = "0.1.0"
