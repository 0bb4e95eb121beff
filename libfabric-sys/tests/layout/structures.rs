//! Every structure of the crate.
#![expect(unsafe_code, reason = "names fields through raw pointers")]
#![expect(clippy::expect_used, reason = "helpers of a test")]

use std::mem::offset_of;

use libfabric_sys::atomic::{fi_ioc, fi_msg_atomic, fi_ops_atomic};
use libfabric_sys::av::{fi_av_attr, fi_ops_av, fid_av};
use libfabric_sys::cq::{
    fi_cq_attr, fi_cq_data_entry, fi_cq_err_entry, fi_cq_msg_entry, fi_cq_tagged_entry, fi_ops_cq, fid_cq,
};
use libfabric_sys::ep::{
    fi_msg, fi_msg_rma, fi_ops_cm, fi_ops_ep, fi_ops_msg, fi_ops_rma, fi_rma_iov, fid_ep,
};
use libfabric_sys::fid::{fi_context2, fi_ops, fi_ops_domain, fi_ops_fabric, fid, fid_domain, fid_fabric};
use libfabric_sys::info::{
    fi_bus_addr, fi_bus_attr, fi_device_attr, fi_domain_attr, fi_ep_attr, fi_fabric_attr, fi_info,
    fi_link_attr, fi_param, fi_pci_attr, fi_rx_attr, fi_tx_attr, fid_nic,
};
use libfabric_sys::mr::{fi_mr_attr, fi_mr_device, fi_mr_dmabuf, fi_ops_mr, fid_mr};
use libfabric_sys::provider::fi_provider;
use libfabric_sys::tagged::{fi_msg_tagged, fi_ops_tagged};

use crate::program::Version;

/// The oldest headers that the declarations are for.
pub(crate) const OLDEST: Version = libfabric_sys::MIN_VERSION;

/// Who allocates a structure, which decides whose size must be the larger.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// The library: ours is what the oldest version has, a prefix of the newer ones.
    Library,
    /// We: ours is what the newest version has.
    Ours,
}

pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) c_name: &'static str,
    pub(crate) offset: usize,
    pub(crate) size: usize,
    pub(crate) since: Version,
}

pub(crate) struct Structure {
    pub(crate) name: &'static str,
    pub(crate) c_type: String,
    pub(crate) origin: Origin,
    pub(crate) size: usize,
    pub(crate) fields: Vec<Field>,
}

impl Structure {
    /// The first version that has any of it.
    pub(crate) fn since(&self) -> Version {
        self.fields.iter().map(|field| field.since).min().unwrap_or(OLDEST)
    }

    /// The first version that has all of it.
    pub(crate) fn complete_since(&self) -> Version {
        self.fields.iter().map(|field| field.since).max().unwrap_or(OLDEST)
    }

    fn edit(mut self, name: &str, edit: impl FnOnce(&mut Field)) -> Self {
        let field =
            self.fields.iter_mut().find(|field| field.name == name).expect("a field of the structure");
        edit(field);
        self
    }

    fn called(self, name: &str, c_name: &'static str) -> Self {
        self.edit(name, |field| field.c_name = c_name)
    }

    fn since_version(self, name: &str, version: Version) -> Self {
        self.edit(name, |field| field.since = version)
    }

    fn all_since(mut self, version: Version) -> Self {
        self.fields.iter_mut().for_each(|field| field.since = version);
        self
    }

    fn c_type(mut self, c_type: &str) -> Self {
        c_type.clone_into(&mut self.c_type);
        self
    }
}

/// Size of what a pointer points to.
fn pointee_size<S, F>(_: impl FnOnce(*const S) -> *const F) -> usize {
    size_of::<F>()
}

macro_rules! structure {
    ($origin:ident $name:ident { $($field:ident),+ $(,)? }) => {
        Structure {
            name: stringify!($name),
            c_type: concat!("struct ", stringify!($name)).to_owned(),
            origin: Origin::$origin,
            size: size_of::<$name>(),
            fields: vec![$(Field {
                name: stringify!($field),
                c_name: stringify!($field),
                offset: offset_of!($name, $field),
                // SAFETY: never called, only its type is of interest.
                size: pointee_size(|at: *const $name| unsafe { &raw const (*at).$field }),
                since: OLDEST,
            }),+],
        }
    };
}

pub(crate) fn all() -> Vec<Structure> {
    [fids(), infos(), endpoints(), queues(), addresses(), regions()].into_iter().flatten().collect()
}

fn fids() -> Vec<Structure> {
    vec![
        structure!(Library fid { fclass, context, ops }),
        structure!(Library fi_ops { size, close, bind, control, ops_open, tostr, ops_set }),
        structure!(Library fid_fabric { fid, ops, api_version }),
        structure!(Library fi_ops_fabric {
            size, domain, passive_ep, eq_open, wait_open, trywait, domain2
        }),
        structure!(Library fid_domain { fid, ops, mr }),
        structure!(Library fi_ops_domain {
            size, av_open, cq_open, endpoint, scalable_ep, cntr_open, poll_open, stx_ctx, srx_ctx,
            query_atomic, query_collective, endpoint2
        }),
        structure!(Ours fi_context2 { internal }),
        structure!(Ours fi_provider { version, fi_version, context, name, getinfo, fabric, cleanup }),
    ]
}

fn infos() -> Vec<Structure> {
    vec![
        structure!(Library fi_info {
            next, caps, mode, addr_format, src_addrlen, dest_addrlen, src_addr, dest_addr, handle,
            tx_attr, rx_attr, ep_attr, domain_attr, fabric_attr, nic
        }),
        structure!(Library fi_tx_attr {
            caps, mode, op_flags, msg_order, comp_order, inject_size, size, iov_limit,
            rma_iov_limit, tclass
        }),
        structure!(Library fi_rx_attr {
            caps, mode, op_flags, msg_order, comp_order, total_buffered_recv, size, iov_limit
        }),
        structure!(Library fi_ep_attr {
            type_, protocol, protocol_version, max_msg_size, msg_prefix_size, max_order_raw_size,
            max_order_war_size, max_order_waw_size, mem_tag_format, tx_ctx_cnt, rx_ctx_cnt,
            auth_key_size, auth_key
        })
        .called("type_", "type"),
        structure!(Library fi_domain_attr {
            domain, name, threading, control_progress, data_progress, resource_mgmt, av_type,
            mr_mode, mr_key_size, cq_data_size, cq_cnt, ep_cnt, tx_ctx_cnt, rx_ctx_cnt,
            max_ep_tx_ctx, max_ep_rx_ctx, max_ep_stx_ctx, max_ep_srx_ctx, cntr_cnt, mr_iov_limit,
            caps, mode, auth_key, auth_key_size, max_err_data, mr_cnt, tclass
        }),
        structure!(Library fi_fabric_attr { fabric, name, prov_name, prov_version, api_version }),
        structure!(Library fid_nic { fid, device_attr, bus_attr, link_attr, prov_attr }),
        structure!(Library fi_device_attr {
            name, device_id, device_version, vendor_id, driver, firmware
        }),
        structure!(Library fi_bus_attr { bus_type, attr }),
        structure!(Library fi_bus_addr { pci }).c_type("__typeof__(((struct fi_bus_attr *)0)->attr)"),
        structure!(Library fi_pci_attr { domain_id, bus_id, device_id, function_id }),
        structure!(Library fi_param { name, type_, help_string, value }).called("type_", "type"),
        structure!(Library fi_link_attr { address, mtu, speed, state, network_type }),
    ]
}

fn endpoints() -> Vec<Structure> {
    vec![
        structure!(Library fid_ep { fid, ops, cm, msg, rma, tagged, atomic, collective }),
        structure!(Library fi_ops_ep {
            size, cancel, getopt, setopt, tx_ctx, rx_ctx, rx_size_left, tx_size_left
        }),
        structure!(Library fi_ops_cm {
            size, setname, getname, getpeer, connect, listen, accept, reject, shutdown, join
        }),
        structure!(Library fi_ops_msg {
            size, recv, recvv, recvmsg, send, sendv, sendmsg, inject, senddata, injectdata
        }),
        structure!(Library fi_ops_rma {
            size, read, readv, readmsg, write, writev, writemsg, inject, writedata, injectdata
        }),
        structure!(Library fi_ops_tagged {
            size, recv, recvv, recvmsg, send, sendv, sendmsg, inject, senddata, injectdata
        }),
        structure!(Library fi_ops_atomic {
            size, write, writev, writemsg, inject, readwrite, readwritev, readwritemsg, compwrite, compwritev,
            compwritemsg, writevalid, readwritevalid, compwritevalid
        }),
        structure!(Ours fi_msg_tagged {
            msg_iov, desc, iov_count, addr, tag, ignore, context, data
        }),
        structure!(Ours fi_ioc { addr, count }),
        structure!(Ours fi_msg_atomic {
            msg_iov, desc, iov_count, addr, rma_iov, rma_iov_count, datatype, op, context, data
        }),
        structure!(Ours fi_msg { msg_iov, desc, iov_count, addr, context, data }),
        structure!(Ours fi_msg_rma {
            msg_iov, desc, iov_count, addr, rma_iov, rma_iov_count, context, data
        }),
        structure!(Ours fi_rma_iov { addr, len, key }),
    ]
}

fn queues() -> Vec<Structure> {
    vec![
        structure!(Library fid_cq { fid, ops }),
        structure!(Library fi_ops_cq {
            size, read, readfrom, readerr, sread, sreadfrom, signal, strerror
        }),
        structure!(Ours fi_cq_attr {
            size, flags, format, wait_obj, signaling_vector, wait_cond, wait_set, xpu_ctx
        })
        .since_version("xpu_ctx", (2, 7)),
        structure!(Ours fi_cq_msg_entry { op_context, flags, len }),
        structure!(Ours fi_cq_tagged_entry { op_context, flags, len, buf, data, tag }),
        structure!(Ours fi_cq_data_entry { op_context, flags, len, buf, data }),
        structure!(Ours fi_cq_err_entry {
            op_context, flags, len, buf, data, tag, olen, err, prov_errno, err_data,
            err_data_size, src_addr
        })
        .since_version("src_addr", (1, 20)),
    ]
}

fn addresses() -> Vec<Structure> {
    vec![
        structure!(Library fid_av { fid, ops }),
        structure!(Library fi_ops_av {
            size, insert, insertsvc, insertsym, remove, lookup, straddr, av_set
        }),
        structure!(Ours fi_av_attr {
            type_, rx_ctx_bits, count, ep_per_node, name, map_addr, flags
        })
        .called("type_", "type"),
    ]
}

fn regions() -> Vec<Structure> {
    vec![
        structure!(Library fid_mr { fid, mem_desc, key }),
        structure!(Library fi_ops_mr { size, reg, regv, regattr }),
        structure!(Ours fi_mr_attr {
            region, iov_count, access, offset, requested_key, context, auth_key_size, auth_key,
            iface, device, hmem_data, page_size, base_mr, sub_mr_cnt
        })
        .called("region", "mr_iov")
        .since_version("hmem_data", (1, 19))
        .since_version("page_size", (1, 22))
        .since_version("base_mr", (2, 0))
        .since_version("sub_mr_cnt", (2, 0)),
        structure!(Ours fi_mr_device { reserved, cuda, neuron })
            .c_type("__typeof__(((struct fi_mr_attr *)0)->device)"),
        structure!(Ours fi_mr_dmabuf { fd, offset, len, base_addr }).all_since((1, 20)),
    ]
}
