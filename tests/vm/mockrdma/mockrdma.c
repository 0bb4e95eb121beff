// SPDX-License-Identifier: GPL-2.0
/*
 * mockrdma: RDMA devices without hardware, for tests of monitors.
 *
 * The kernel's own sysfs and RDMA netlink speak for these devices, so a monitor cannot tell them from real ones; only
 * the values come from files:
 *
 *   /sys/kernel/debug/mockrdma/DEVICE/{port,device,pma}/COUNTER         the value now; write to set it
 *   /sys/kernel/debug/mockrdma/DEVICE/{port,device,pma}/COUNTER.per_s   how much it grows a second, by the kernel's clock
 *   /sys/kernel/debug/mockrdma/DEVICE/{state,phys_state,width,speed}    of the port, in the kernel's numbers
 *   /sys/kernel/debug/mockrdma/DEVICE/fail                              errno that reading the counters gives; 0: none
 *   /sys/kernel/debug/mockrdma/DEVICE/stall_ms                          how long it takes to read them; 0 lets go at once
 *   /sys/kernel/debug/mockrdma/DEVICE/reads                             how often they were read
 *
 * User space can hold protection domains, completion queues and queue pairs on them (see ../hold_qps.py), which carry
 * nothing.
 *
 *   insmod mockrdma.ko devices=rdmap16s27:efa,mlx5_0:mlx5
 *
 * Each profile is a platform driver under the name of the driver it stands for, so `device/driver` reads `efa`, and
 * devices go and come by hand: echo efa.0 > /sys/bus/platform/drivers/efa/unbind (or bind).
 */
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/version.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_pma.h>
#include <rdma/ib_verbs.h>

#define MAX_COUNTERS 48
#define MAX_DEVICES 64

static char *devices = "";
module_param(devices, charp, 0444);
MODULE_PARM_DESC(devices, "NAME:PROFILE,... with the profiles efa, mlx5, erdma and bare (no counters)");

/* A counter: `base` at `since`, and from then on growing steadily. */
struct cell {
	spinlock_t lock;
	u64 base;
	u64 per_s;
	u64 since;
	u64 mask; /* its width: all ones for 64 bits */
};

/* The counters of one place. */
struct bank {
	int count;
	struct cell cells[MAX_COUNTERS];
	struct rdma_stat_desc descs[MAX_COUNTERS];
};

/* What a real driver looks like from outside. */
struct profile {
	const char *name;
	struct platform_driver driver;
	enum rdma_driver_id id;
	enum rdma_link_layer link_layer;
	u8 node_type;
	u8 width;
	u16 speed;
	const char *const *port;
	const char *const *device;
	bool port_wraps_at_32_bits;
	bool pma;
};

struct mock {
	struct ib_device ib;
	struct profile *profile;
	struct dentry *dir;
	struct bank port;
	struct bank device;
	struct bank pma;
	u32 state;
	u32 phys_state;
	u32 width;
	u32 speed;
	u32 fail;
	u32 stall_ms;
	u32 reads;
	atomic_t last_qp;
};

/* The core allocates these by their size. */
struct mock_ucontext { struct ib_ucontext ib; };
struct mock_pd { struct ib_pd ib; };
struct mock_cq { struct ib_cq ib; };
struct mock_qp { struct ib_qp ib; };

static struct dentry *root;
static struct platform_device *parents[MAX_DEVICES];

static struct mock *to_mock(struct ib_device *ib)
{
	return container_of(ib, struct mock, ib);
}

/* Names: drivers/infiniband/hw/efa/efa_verbs.c; the last five came with Linux 6.17. */
static const char *const efa_port[] = {
	"tx_bytes", "tx_pkts", "rx_bytes", "rx_pkts", "rx_drops",
	"send_bytes", "send_wrs", "recv_bytes", "recv_wrs",
	"rdma_read_wrs", "rdma_read_bytes", "rdma_read_wr_err", "rdma_read_resp_bytes",
	"rdma_write_wrs", "rdma_write_bytes", "rdma_write_wr_err", "rdma_write_recv_bytes",
	"retrans_bytes", "retrans_pkts", "retrans_timeout_events",
	"unresponsive_remote_events", "impaired_remote_conn_events", NULL
};
static const char *const efa_device[] = {
	"submitted_cmds", "completed_cmds", "cmds_err", "no_completion_cmds", "keep_alive_rcvd",
	"alloc_pd_err", "create_qp_err", "create_cq_err", "reg_mr_err",
	"alloc_ucontext_err", "create_ah_err", "mmap_err", NULL
};

/* Names: drivers/infiniband/hw/mlx5/counters.c. The firmware keeps these Q counters in 32 bits. */
static const char *const mlx5_port[] = {
	"rx_write_requests", "rx_read_requests", "rx_atomic_requests", "rx_dct_connect",
	"out_of_buffer", "out_of_sequence", "duplicate_request", "rnr_nak_retry_err",
	"packet_seq_err", "implied_nak_seq_err", "local_ack_timeout_err",
	"resp_local_length_error", "resp_cqe_error", "req_cqe_error",
	"req_remote_invalid_request", "req_remote_access_errors", "resp_remote_access_errors",
	"resp_cqe_flush_error", "req_cqe_flush_error",
	"roce_adp_retrans", "roce_adp_retrans_to", "roce_slow_restart",
	"roce_slow_restart_cnps", "roce_slow_restart_trans",
	"rp_cnp_ignored", "rp_cnp_handled", "np_ecn_marked_roce_packets", "np_cnp_sent",
	"rx_icrc_encapsulated", NULL
};

/* Names: drivers/infiniband/hw/erdma/erdma_verbs.c. */
static const char *const erdma_port[] = {
	"tx_reqs_cnt", "tx_packets_cnt", "tx_bytes_cnt",
	"tx_disable_drop_cnt", "tx_bps_limit_drop_cnt", "tx_pps_limit_drop_cnt",
	"rx_packets_cnt", "rx_bytes_cnt",
	"rx_disable_drop_cnt", "rx_bps_limit_drop_cnt", "rx_pps_limit_drop_cnt", NULL
};

/* What process_mad answers from, in the order of the enum. Data is in 4-byte words. */
enum { XMIT_DATA, RCV_DATA, XMIT_PACKETS, RCV_PACKETS, LINK_DOWNED, XMIT_DISCARDS, RCV_ERRORS, XMIT_WAIT };
static const char *const pma_names[] = {
	"port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets",
	"link_downed", "port_xmit_discards", "port_rcv_errors", "port_xmit_wait", NULL
};

/* Counters. */

static u64 cell_at(struct cell *cell, u64 now)
{
	unsigned long flags;
	u64 value;

	spin_lock_irqsave(&cell->lock, flags);
	value = cell->base;
	if (cell->per_s && now > cell->since)
		value += mul_u64_u64_div_u64(cell->per_s, now - cell->since, NSEC_PER_SEC);
	spin_unlock_irqrestore(&cell->lock, flags);
	return value & cell->mask;
}

static void cell_set(struct cell *cell, u64 base, u64 per_s, u64 now)
{
	unsigned long flags;

	spin_lock_irqsave(&cell->lock, flags);
	cell->base = base;
	cell->per_s = per_s;
	cell->since = now;
	spin_unlock_irqrestore(&cell->lock, flags);
}

static int value_get(void *data, u64 *value)
{
	*value = cell_at(data, ktime_get_ns());
	return 0;
}

static int value_set(void *data, u64 value)
{
	struct cell *cell = data;

	cell_set(cell, value, cell->per_s, ktime_get_ns());
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(value_fops, value_get, value_set, "%llu\n");

static int per_s_get(void *data, u64 *value)
{
	struct cell *cell = data;

	*value = cell->per_s;
	return 0;
}

static int per_s_set(void *data, u64 per_s)
{
	u64 now = ktime_get_ns();

	cell_set(data, cell_at(data, now), per_s, now);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(per_s_fops, per_s_get, per_s_set, "%llu\n");

static void bank_fill(struct bank *bank, const char *const *names, u64 mask, const char *place, struct dentry *parent)
{
	struct dentry *dir;
	char file[64];
	int i;

	if (!names)
		return;
	dir = debugfs_create_dir(place, parent);
	for (i = 0; names[i] && i < MAX_COUNTERS; i++) {
		spin_lock_init(&bank->cells[i].lock);
		bank->cells[i].mask = mask;
		bank->descs[i].name = names[i];
		debugfs_create_file_unsafe(names[i], 0600, dir, &bank->cells[i], &value_fops);
		snprintf(file, sizeof(file), "%s.per_s", names[i]);
		debugfs_create_file_unsafe(file, 0600, dir, &bank->cells[i], &per_s_fops);
	}
	bank->count = i;
}

/* The device's side of the verbs. */

static int mock_query_device(struct ib_device *ib, struct ib_device_attr *attr, struct ib_udata *udata)
{
	memset(attr, 0, sizeof(*attr));
	attr->max_qp = 4096;
	attr->max_cq = 4096;
	attr->max_mr = 1024;
	attr->max_pd = 64;
	attr->sys_image_guid = ib->node_guid;
	return 0;
}

static int mock_query_port(struct ib_device *ib, u32 port, struct ib_port_attr *attr)
{
	struct mock *mock = to_mock(ib);

	attr->state = READ_ONCE(mock->state);
	attr->phys_state = READ_ONCE(mock->phys_state);
	attr->active_width = READ_ONCE(mock->width);
	attr->active_speed = READ_ONCE(mock->speed);
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = IB_MTU_4096;
	attr->max_msg_sz = 1 << 30;
	attr->max_vl_num = 1;
	attr->gid_tbl_len = 1;
	attr->pkey_tbl_len = 1;
	return 0;
}

static int mock_port_immutable(struct ib_device *ib, u32 port, struct ib_port_immutable *immutable)
{
	immutable->gid_tbl_len = 1;
	immutable->pkey_tbl_len = 1;
	return 0;
}

static int mock_query_gid(struct ib_device *ib, u32 port, int index, union ib_gid *gid)
{
	gid->global.subnet_prefix = cpu_to_be64(0xfe80000000000000ULL);
	gid->global.interface_id = ib->node_guid;
	return 0;
}

static int mock_query_pkey(struct ib_device *ib, u32 port, u16 index, u16 *pkey)
{
	*pkey = 0xffff;
	return 0;
}

static enum rdma_link_layer mock_link_layer(struct ib_device *ib, u32 port)
{
	return to_mock(ib)->profile->link_layer;
}

static void mock_fw(struct ib_device *ib, char *text)
{
	strscpy(text, "1.2.3", IB_FW_VERSION_NAME_MAX);
}

static struct rdma_hw_stats *mock_alloc_port_stats(struct ib_device *ib, u32 port)
{
	struct bank *bank = &to_mock(ib)->port;

	return rdma_alloc_hw_stats_struct(bank->descs, bank->count, RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

static struct rdma_hw_stats *mock_alloc_device_stats(struct ib_device *ib)
{
	struct bank *bank = &to_mock(ib)->device;

	return rdma_alloc_hw_stats_struct(bank->descs, bank->count, RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

/* As an admin queue that does not answer: the caller cannot be interrupted, but setting the file to 0 lets it go. */
static void mock_stall(struct mock *mock)
{
	unsigned long end = jiffies + msecs_to_jiffies(READ_ONCE(mock->stall_ms));

	while (READ_ONCE(mock->stall_ms) && time_before(jiffies, end))
		msleep(20);
}

static int mock_get_stats(struct ib_device *ib, struct rdma_hw_stats *stats, u32 port, int index)
{
	struct mock *mock = to_mock(ib);
	struct bank *bank = port ? &mock->port : &mock->device;
	u32 error;
	u64 now;
	int i;

	if (port) {
		WRITE_ONCE(mock->reads, READ_ONCE(mock->reads) + 1);
		mock_stall(mock);
	}
	error = READ_ONCE(mock->fail);
	if (port && error)
		return -(int)min_t(u32, error, MAX_ERRNO);
	/* One moment for all of them. */
	now = ktime_get_ns();
	for (i = 0; i < bank->count && i < stats->num_counters; i++)
		stats->value[i] = cell_at(&bank->cells[i], now);
	return stats->num_counters;
}

/* InfiniBand's port counters stop at their widths; IBA 16.1.3.5. */
static int mock_process_mad(struct ib_device *ib, int flags, u32 port, const struct ib_wc *wc,
			    const struct ib_grh *grh, const struct ib_mad *in, struct ib_mad *out,
			    size_t *out_size, u16 *out_pkey_index)
{
	struct cell *cells = to_mock(ib)->pma.cells;
	u64 now = ktime_get_ns();
	void *body = out->data + 40;

	if (in->mad_hdr.mgmt_class != IB_MGMT_CLASS_PERF_MGMT)
		return IB_MAD_RESULT_FAILURE;
	memset(out->data, 0, sizeof(out->data));
	switch (in->mad_hdr.attr_id) {
	case IB_PMA_CLASS_PORT_INFO: {
		struct ib_class_port_info *info = body;

		info->capability_mask = IB_PMA_CLASS_CAP_EXT_WIDTH;
		break;
	}
	case IB_PMA_PORT_COUNTERS_EXT: {
		struct ib_pma_portcounters_ext *ext = body;

		ext->port_xmit_data = cpu_to_be64(cell_at(&cells[XMIT_DATA], now));
		ext->port_rcv_data = cpu_to_be64(cell_at(&cells[RCV_DATA], now));
		ext->port_xmit_packets = cpu_to_be64(cell_at(&cells[XMIT_PACKETS], now));
		ext->port_rcv_packets = cpu_to_be64(cell_at(&cells[RCV_PACKETS], now));
		ext->port_unicast_xmit_packets = ext->port_xmit_packets;
		ext->port_unicast_rcv_packets = ext->port_rcv_packets;
		break;
	}
	case IB_PMA_PORT_COUNTERS: {
		struct ib_pma_portcounters *plain = body;

		plain->link_downed_counter = min_t(u64, cell_at(&cells[LINK_DOWNED], now), U8_MAX);
		plain->port_xmit_discards = cpu_to_be16(min_t(u64, cell_at(&cells[XMIT_DISCARDS], now), U16_MAX));
		plain->port_rcv_errors = cpu_to_be16(min_t(u64, cell_at(&cells[RCV_ERRORS], now), U16_MAX));
		plain->port_xmit_wait = cpu_to_be32(min_t(u64, cell_at(&cells[XMIT_WAIT], now), U32_MAX));
		break;
	}
	default:
		return IB_MAD_RESULT_FAILURE;
	}
	return IB_MAD_RESULT_SUCCESS | IB_MAD_RESULT_REPLY;
}

/* What user space can hold. The core keeps the books, and tells over netlink whose each of them is. */

static int mock_alloc_ucontext(struct ib_ucontext *context, struct ib_udata *udata)
{
	return 0;
}

static void mock_dealloc_ucontext(struct ib_ucontext *context)
{
}

static void mock_disassociate_ucontext(struct ib_ucontext *context)
{
}

static int mock_alloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return 0;
}

static int mock_dealloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return 0;
}

/* Since 6.11 it is given all attributes; before, it was the driver's alone. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
static int mock_create_cq(struct ib_cq *cq, const struct ib_cq_init_attr *attr, struct uverbs_attr_bundle *attrs)
#else
static int mock_create_cq(struct ib_cq *cq, const struct ib_cq_init_attr *attr, struct ib_udata *udata)
#endif
{
	cq->cqe = attr->cqe;
	return 0;
}

static int mock_destroy_cq(struct ib_cq *cq, struct ib_udata *udata)
{
	return 0;
}

static int mock_create_qp(struct ib_qp *qp, struct ib_qp_init_attr *attr, struct ib_udata *udata)
{
	qp->qp_num = atomic_inc_return(&to_mock(qp->device)->last_qp);
	return 0;
}

static int mock_modify_qp(struct ib_qp *qp, struct ib_qp_attr *attr, int mask, struct ib_udata *udata)
{
	return 0;
}

static int mock_query_qp(struct ib_qp *qp, struct ib_qp_attr *attr, int mask, struct ib_qp_init_attr *init)
{
	memset(attr, 0, sizeof(*attr));
	memset(init, 0, sizeof(*init));
	attr->qp_state = IB_QPS_RESET;
	init->qp_type = qp->qp_type;
	return 0;
}

static int mock_destroy_qp(struct ib_qp *qp, struct ib_udata *udata)
{
	return 0;
}

static const struct ib_device_ops common_ops = {
	.owner = THIS_MODULE,
	.uverbs_abi_ver = 1,
	.alloc_ucontext = mock_alloc_ucontext,
	.dealloc_ucontext = mock_dealloc_ucontext,
	.disassociate_ucontext = mock_disassociate_ucontext,
	.alloc_pd = mock_alloc_pd,
	.dealloc_pd = mock_dealloc_pd,
	.create_cq = mock_create_cq,
	.destroy_cq = mock_destroy_cq,
	.create_qp = mock_create_qp,
	.modify_qp = mock_modify_qp,
	.query_qp = mock_query_qp,
	.destroy_qp = mock_destroy_qp,
	INIT_RDMA_OBJ_SIZE(ib_ucontext, mock_ucontext, ib),
	INIT_RDMA_OBJ_SIZE(ib_pd, mock_pd, ib),
	INIT_RDMA_OBJ_SIZE(ib_cq, mock_cq, ib),
	INIT_RDMA_OBJ_SIZE(ib_qp, mock_qp, ib),
	.get_dev_fw_str = mock_fw,
	.get_link_layer = mock_link_layer,
	.get_port_immutable = mock_port_immutable,
	.query_device = mock_query_device,
	.query_gid = mock_query_gid,
	.query_pkey = mock_query_pkey,
	.query_port = mock_query_port,
};
static const struct ib_device_ops port_stats_ops = {
	.alloc_hw_port_stats = mock_alloc_port_stats,
	.get_hw_stats = mock_get_stats,
};
static const struct ib_device_ops device_stats_ops = { .alloc_hw_device_stats = mock_alloc_device_stats };
static const struct ib_device_ops pma_ops = { .process_mad = mock_process_mad };

/* Coming and going. */

static void mock_free(struct mock *mock)
{
	debugfs_remove_recursive(mock->dir);
	ib_dealloc_device(&mock->ib);
}

static int mock_probe(struct platform_device *parent)
{
	struct profile *profile = container_of(to_platform_driver(parent->dev.driver), struct profile, driver);
	struct ib_device_ops id_ops = { .driver_id = profile->id };
	const char *name = dev_get_platdata(&parent->dev);
	struct mock *mock = ib_alloc_device(mock, ib);
	int error;

	if (!mock)
		return -ENOMEM;
	mock->profile = profile;
	mock->state = IB_PORT_ACTIVE;
	mock->phys_state = IB_PORT_PHYS_STATE_LINK_UP;
	mock->width = profile->width;
	mock->speed = profile->speed;
	mock->ib.dev.parent = &parent->dev;
	mock->ib.node_type = profile->node_type;
	mock->ib.phys_port_cnt = 1;
	mock->ib.num_comp_vectors = 1;
	mock->ib.node_guid = cpu_to_be64(0x0200000000000000ULL + (u32)parent->id);
	strscpy(mock->ib.node_desc, "mockrdma", sizeof(mock->ib.node_desc));

	mock->dir = debugfs_create_dir(name, root);
	debugfs_create_u32("state", 0600, mock->dir, &mock->state);
	debugfs_create_u32("phys_state", 0600, mock->dir, &mock->phys_state);
	debugfs_create_u32("width", 0600, mock->dir, &mock->width);
	debugfs_create_u32("speed", 0600, mock->dir, &mock->speed);
	debugfs_create_u32("fail", 0600, mock->dir, &mock->fail);
	debugfs_create_u32("stall_ms", 0600, mock->dir, &mock->stall_ms);
	debugfs_create_u32("reads", 0400, mock->dir, &mock->reads);
	bank_fill(&mock->port, profile->port, profile->port_wraps_at_32_bits ? U32_MAX : U64_MAX, "port", mock->dir);
	bank_fill(&mock->device, profile->device, U64_MAX, "device", mock->dir);
	if (profile->pma)
		bank_fill(&mock->pma, pma_names, U64_MAX, "pma", mock->dir);

	ib_set_device_ops(&mock->ib, &id_ops);
	ib_set_device_ops(&mock->ib, &common_ops);
	if (profile->port)
		ib_set_device_ops(&mock->ib, &port_stats_ops);
	if (profile->device)
		ib_set_device_ops(&mock->ib, &device_stats_ops);
	if (profile->pma)
		ib_set_device_ops(&mock->ib, &pma_ops);
	error = ib_register_device(&mock->ib, name, NULL);
	if (error) {
		mock_free(mock);
		return error;
	}
	platform_set_drvdata(parent, mock);
	return 0;
}

static void mock_remove(struct platform_device *parent)
{
	struct mock *mock = platform_get_drvdata(parent);

	/* Nobody shall wait longer than this takes. */
	WRITE_ONCE(mock->stall_ms, 0);
	ib_unregister_device(&mock->ib);
	mock_free(mock);
}

/* Since 6.11 .remove returns nothing; before, that was .remove_new. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define REMOVE .remove = mock_remove
#else
#define REMOVE .remove_new = mock_remove
#endif
#define DRIVER(label) { .probe = mock_probe, REMOVE, .driver = { .name = label } }

static struct profile profiles[] = {
	{ .name = "efa", .driver = DRIVER("efa"), .id = RDMA_DRIVER_EFA,
	  .link_layer = IB_LINK_LAYER_UNSPECIFIED, .node_type = RDMA_NODE_UNSPECIFIED,
	  .width = IB_WIDTH_4X, .speed = IB_SPEED_EDR, .port = efa_port, .device = efa_device },
	{ .name = "mlx5", .driver = DRIVER("mlx5_core"), .id = RDMA_DRIVER_MLX5,
	  .link_layer = IB_LINK_LAYER_ETHERNET, .node_type = RDMA_NODE_IB_CA,
	  .width = IB_WIDTH_4X, .speed = IB_SPEED_NDR, .port = mlx5_port,
	  .port_wraps_at_32_bits = true, .pma = true },
	{ .name = "erdma", .driver = DRIVER("erdma"), .id = RDMA_DRIVER_ERDMA,
	  .link_layer = IB_LINK_LAYER_ETHERNET, .node_type = RDMA_NODE_RNIC,
	  .width = IB_WIDTH_4X, .speed = IB_SPEED_EDR, .port = erdma_port },
	{ .name = "bare", .driver = DRIVER("bare_rdma"), .id = RDMA_DRIVER_UNKNOWN,
	  .link_layer = IB_LINK_LAYER_ETHERNET, .node_type = RDMA_NODE_IB_CA,
	  .width = IB_WIDTH_4X, .speed = IB_SPEED_EDR },
};

static struct profile *profile_by_name(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(profiles); i++)
		if (!strcmp(profiles[i].name, name))
			return &profiles[i];
	return NULL;
}

/* Adds the devices of `list`, which it cuts up. */
static int add_devices(char *list)
{
	char *item;
	int id = 0;

	while ((item = strsep(&list, ",")) != NULL) {
		char *name = strsep(&item, ":");
		struct profile *profile = item ? profile_by_name(item) : NULL;
		struct platform_device *parent;

		if (!profile || id == MAX_DEVICES) {
			pr_err("mockrdma: not NAME:PROFILE, or too many: %s\n", name);
			return -EINVAL;
		}
		parent = platform_device_register_data(NULL, profile->driver.driver.name, id, name, strlen(name) + 1);
		if (IS_ERR(parent))
			return PTR_ERR(parent);
		parents[id++] = parent;
	}
	return 0;
}

static void remove_all(int drivers)
{
	int i;

	for (i = 0; i < MAX_DEVICES; i++)
		platform_device_unregister(parents[i]);
	while (drivers-- > 0)
		platform_driver_unregister(&profiles[drivers].driver);
	debugfs_remove_recursive(root);
}

static int __init mock_init(void)
{
	char *list = kstrdup(devices, GFP_KERNEL);
	int drivers = 0, error = 0;

	if (!list)
		return -ENOMEM;
	root = debugfs_create_dir("mockrdma", NULL);
	while (drivers < ARRAY_SIZE(profiles)) {
		error = platform_driver_register(&profiles[drivers].driver);
		if (error)
			break;
		drivers++;
	}
	if (!error && *list)
		error = add_devices(list);
	if (error)
		remove_all(drivers);
	kfree(list);
	return error;
}

static void __exit mock_exit(void)
{
	remove_all(ARRAY_SIZE(profiles));
}

module_init(mock_init);
module_exit(mock_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("RDMA devices without hardware, under the counter names of real drivers");
