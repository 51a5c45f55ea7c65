/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CORE_H
#define WIREWHO_CORE_H
/*
 * The few kernel types that the owner programs really read. Offsets are found when the program is loaded
 * (CO-RE), so only names and types matter here; members stand in no particular order.
 */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kuid {
	__u32 val;
};

struct cred {
	struct kuid euid;
};

#ifdef __TARGET_ARCH_arm64
struct pt_regs {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
};

struct thread_info {
	unsigned long flags;
};
#else
struct pt_regs {
	unsigned long bx, cx, dx, si, di, orig_ax;
};

struct thread_info {
	__u32 status;
};
#endif

struct signal_struct {
	struct {
		int counter;
	} live;
	unsigned int flags;
	int group_exit_code;
};

struct mm_struct {
	unsigned long arg_start, arg_end;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct css_set {
	struct cgroup *dfl_cgrp; /* of the cgroup v2 hierarchy */
};

struct task_struct {
	struct thread_info thread_info;
	struct css_set *cgroups;
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	__u64 start_boottime;
	const struct cred *cred;
	char comm[16];
	int exit_code;
	struct signal_struct *signal;
	struct mm_struct *mm;
};

struct linux_binprm {
	const char *filename;
};

struct net {
	__u64 net_cookie;
};

struct possible_net {
	struct net *net;
};

struct in6_addr {
	union {
		__be32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* local port, host order */
	unsigned short skc_family;
	unsigned char skc_reuse : 4, skc_reuseport : 1, skc_ipv6only : 1;
	volatile unsigned char skc_state;
	unsigned long skc_flags;
	struct possible_net skc_net;
	struct {
		__s64 counter;
	} skc_cookie; /* 0: nobody asked for it yet */
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sk_buff_head {
	__u32 qlen;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_receive_queue;
	__u16 sk_type;
	__u16 sk_protocol;
	int sk_err;
	__u8 sk_kern_sock : 1;
};

struct inet_sock {
	__be16 inet_sport; /* kept when the port is given back, which clears skc_num */
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_sent; /* payload, retransmissions included */
	__u64 bytes_retrans;
	__u64 bytes_received; /* in order; the FIN counts as one */
	__u32 segs_in, segs_out;
	__u32 data_segs_in, data_segs_out;
	__u32 total_retrans;
	__u32 srtt_us; /* eight times the smoothed round trip */
	int linger2;
};

struct inet_timewait_sock {
	struct sock_common __tw_common;
	unsigned char tw_substate;
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
};

struct udp_sock {
	struct sk_buff_head reader_queue;
};

struct socket {
	struct sock *sk;
};

struct file;

struct msghdr;

struct page;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct sock *sk;
	void *value;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop
#endif
