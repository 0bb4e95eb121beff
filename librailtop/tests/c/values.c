/*
 * Samples what the source argv[1] has (sysfs unless given) and prints all that is known of it, and what wrong calls say.
 * With argv[2], the trace in full at the end.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "railtop.h"

#define MAX 64

static int check(const char *what, railtop_status_code code)
{
    if (code != RAILTOP_OK)
        fprintf(stderr, "%s: %d: %s\n", what, code, railtop_error_message());
    return code;
}

static const char *or_none(const char *text)
{
    return text ? text : "(none)";
}

static void print_nic(railtop_sampler *nics, uint32_t number)
{
    railtop_nic nic;
    nic.size = sizeof nic;
    if (check("nic", railtop_sampler_nic(nics, number, &nic)))
        return;
    printf("nic %" PRIu32 " %s port %" PRIu32 " driver %s source %s pci %s netdev %s numa %" PRId32 " group %" PRIu32, number,
           nic.device, nic.port, or_none(nic.driver), nic.source, or_none(nic.pci), or_none(nic.netdev), nic.numa, nic.group);
    if (isnan(nic.link_bits_per_s))
        printf(" line rate unknown\n");
    else
        printf(" line rate %.0f\n", nic.link_bits_per_s);
}

static void print_sample(const railtop_sample *s)
{
    printf("sample nic %" PRIu32 " tx %s%" PRIu64 " rx %s%" PRIu64 "%s%s%s\n", s->nic, s->flags & RAILTOP_HAS_TX_BYTES ? "" : "!",
           s->tx_bytes, s->flags & RAILTOP_HAS_RX_BYTES ? "" : "!", s->rx_bytes, s->flags & RAILTOP_NEW ? " new" : "",
           isnan(s->tx_bytes_per_s) ? " no rate" : "",
           s->tx_bytes_per_s == 0.0 && s->rx_bytes_per_s == 0.0 && s->dt_ns > 0 ? " idle" : "");
}

static void print_samples(railtop_sampler *nics)
{
    railtop_sample samples[MAX];
    uint64_t cursor = 0;
    size_t count = 0, i;
    /* There may be more than fit: however many rounds a busy machine has left time for. */
    do {
        if (check("read", railtop_sampler_read(nics, &cursor, samples, sizeof samples[0], MAX, &count)))
            return;
        for (i = 0; i < count; i++)
            print_sample(&samples[i]);
    } while (count > 0);
    printf("then %zu\n", count);
}

static void print_groups(railtop_sampler *nics, uint32_t groups)
{
    railtop_balance balances[MAX];
    uint64_t cursor = 0;
    size_t count = 0;
    uint32_t number;
    for (number = 0; number < groups; number++) {
        railtop_group group;
        group.size = sizeof group;
        if (check("group", railtop_sampler_group(nics, number, &group)))
            return;
        printf("group %" PRIu32 " kind %s gpu %s numa %" PRId32 " pe %" PRId32 "\n", number, group.kind, or_none(group.gpu),
               group.numa, group.pe);
    }
    if (check("balance", railtop_sampler_read_balance(nics, &cursor, balances, sizeof balances[0], MAX, &count)))
        return;
    printf("balance of %" PRIu32 " NICs%s\n", balances[count - 1].nics,
           isnan(balances[count - 1].tx_max_over_mean) ? ", nothing moves" : "");
}

static void say(const char *what, railtop_status_code code)
{
    printf("%s: %d %s\n", what, code, railtop_error_message());
}

static void wrong_calls(railtop_sampler *nics)
{
    railtop_sampler *other = NULL;
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_status status;
    railtop_nic nic;
    char *text = NULL;
    nic.size = sizeof nic;
    status.size = 0;
    say("no sampler", railtop_sampler_status(NULL, &status));
    say("no size", railtop_sampler_status(nics, &status));
    say("no such NIC", railtop_sampler_nic(nics, 99, &nic));
    say("no such clock", railtop_sampler_trace(nics, 7, 0, &text));
    options.interval_ns = 1;
    say("too often", railtop_sampler_start(&options, &other));
    options.interval_ns = 0;
    options.devices = "\xff";
    say("no UTF-8", railtop_sampler_start(&options, &other));
    say("never", railtop_sampler_wait(nics, 1000000, 0));
    railtop_sampler_free(NULL);
    railtop_text_free(NULL);
    say("fine", railtop_sampler_stop(nics));
}

int main(int argc, char **argv)
{
    railtop_options options = RAILTOP_OPTIONS_INIT;
    railtop_sampler *nics = NULL;
    railtop_status status;
    char *text = NULL;
    uint32_t number;

    if (railtop_abi_version() >> 16 != RAILTOP_ABI_MAJOR)
        return 2;
    options.interval_ns = 10000000;
    options.source = argc > 1 ? argv[1] : "sysfs";
    if (check("start", railtop_sampler_start(&options, &nics)))
        return 1;
    if (check("wait", railtop_sampler_wait(nics, 3, 60000000000u)) || check("stop", railtop_sampler_stop(nics)))
        return 1;
    status.size = sizeof status;
    if (check("status", railtop_sampler_status(nics, &status)))
        return 1;
    printf("running %" PRIu32 " lost %" PRIu64 " every %" PRIu64 " ns, at least 3 ticks: %s\n", status.running, status.lost_samples,
           status.interval_ns, status.ticks >= 3 && status.samples == status.ticks * status.nics ? "yes" : "no");
    for (number = 0; number < status.nics; number++)
        print_nic(nics, number);
    print_samples(nics);
    if (status.groups > 0)
        print_groups(nics, status.groups);
    if (check("notes", railtop_sampler_notes(nics, &text)))
        return 1;
    printf("notes: %s\n", text);
    railtop_text_free(text);
    if (check("trace", railtop_sampler_trace(nics, RAILTOP_CLOCK_MONOTONIC, 0, &text)))
        return 1;
    printf("trace %s\n", strncmp(text, "{\"traceEvents\":[", 16) ? text : "begins well");
    wrong_calls(nics);
    if (argc > 2)
        printf("%s", text);
    railtop_text_free(text);
    railtop_sampler_free(nics);
    return 0;
}
