/* The layout of every public struct, as programs have it compiled in: where pointers have 64 bits
 * (LP64) and 32 (ILP32). header.py compiles this for both, and demands that no field is missing.
 * A line here is never changed; a struct that begins with its size may grow at its end. */
#include <kist/kist.h>

/* On ILP32 an uint64_t in a struct lies at a multiple of 4 (i386) or 8 (all others). */
struct aligned {
  char c;
  uint64_t n;
};
enum { kWide = offsetof(struct aligned, n) };
#define ALIGNED(at) (((at) + kWide - 1) / kWide * kWide)
#define BY_POINTER(lp64, ilp32) (sizeof(void*) == 8 ? (lp64) : (ilp32))
#define STRUCT(type, lp64, ilp32) \
  _Static_assert(sizeof(type) == BY_POINTER(lp64, ilp32), "size of " #type)
/* offset and size of a field, on LP64 and on ILP32 */
#define FIELD(type, field, offset64, size64, offset32, size32)                \
  _Static_assert(offsetof(type, field) == BY_POINTER(offset64, offset32) &&   \
                     sizeof(((type*)0)->field) == BY_POINTER(size64, size32), \
                 #type "." #field)

STRUCT(kist_err, 256, 256);
FIELD(kist_err, size, 0, 4, 0, 4);
FIELD(kist_err, code, 4, 4, 4, 4);
FIELD(kist_err, detail, 8, 4, 8, 4);
FIELD(kist_err, sys_errno, 12, 4, 12, 4);
FIELD(kist_err, aux, 16, 8, 16, 8);
FIELD(kist_err, message, 24, 232, 24, 232);

STRUCT(kist_slice, 16, 8);
FIELD(kist_slice, data, 0, 8, 0, 4);
FIELD(kist_slice, len, 8, 8, 4, 4);

STRUCT(kist_pin, 32, ALIGNED(20));
FIELD(kist_pin, data, 0, 8, 0, 4);
FIELD(kist_pin, len, 8, 8, 4, 4);
FIELD(kist_pin, owner, 16, 8, 8, 4);
FIELD(kist_pin, reserved, 24, 8, ALIGNED(12), 8);

STRUCT(kist_read_options, 24, 16);
FIELD(kist_read_options, size, 0, 4, 0, 4);
FIELD(kist_read_options, flags, 4, 4, 4, 4);
FIELD(kist_read_options, snapshot, 8, 8, 8, 4);
FIELD(kist_read_options, txn, 16, 8, 12, 4);

STRUCT(kist_iter_options, 72, 40);
FIELD(kist_iter_options, size, 0, 4, 0, 4);
FIELD(kist_iter_options, flags, 4, 4, 4, 4);
FIELD(kist_iter_options, snapshot, 8, 8, 8, 4);
FIELD(kist_iter_options, txn, 16, 8, 12, 4);
FIELD(kist_iter_options, lower, 24, 16, 16, 8);
FIELD(kist_iter_options, upper, 40, 16, 24, 8);
FIELD(kist_iter_options, prefix, 56, 16, 32, 8);

STRUCT(kist_write_options, 24, 24);
FIELD(kist_write_options, size, 0, 4, 0, 4);
FIELD(kist_write_options, durability, 4, 4, 4, 4);
FIELD(kist_write_options, flags, 8, 8, 8, 8);
FIELD(kist_write_options, ttl_ms, 16, 8, 16, 8);

STRUCT(kist_job, 24, 16);
FIELD(kist_job, size, 0, 4, 0, 4);
FIELD(kist_job, flags, 4, 4, 4, 4);
FIELD(kist_job, progress, 8, 8, 8, 4);
FIELD(kist_job, ctx, 16, 8, 12, 4);

STRUCT(kist_option_info, 48, 28);
FIELD(kist_option_info, size, 0, 4, 0, 4);
FIELD(kist_option_info, flags, 4, 4, 4, 4);
FIELD(kist_option_info, name, 8, 8, 8, 4);
FIELD(kist_option_info, type, 16, 8, 12, 4);
FIELD(kist_option_info, standard, 24, 8, 16, 4);
FIELD(kist_option_info, bounds, 32, 8, 20, 4);
FIELD(kist_option_info, text, 40, 8, 24, 4);

STRUCT(kist_entry, 32, 16);
FIELD(kist_entry, key, 0, 16, 0, 8);
FIELD(kist_entry, val, 16, 16, 8, 8);

STRUCT(kist_restore_options, 24, 24);
FIELD(kist_restore_options, size, 0, 4, 0, 4);
FIELD(kist_restore_options, flags, 4, 4, 4, 4);
FIELD(kist_restore_options, to_seq, 8, 8, 8, 8);
FIELD(kist_restore_options, to_time_ms, 16, 8, 16, 8);

STRUCT(kist_generation, 80, 80);
FIELD(kist_generation, size, 0, 4, 0, 4);
FIELD(kist_generation, flags, 4, 4, 4, 4);
FIELD(kist_generation, number, 8, 8, 8, 8);
FIELD(kist_generation, first_seq, 16, 8, 16, 8);
FIELD(kist_generation, last_seq, 24, 8, 24, 8);
FIELD(kist_generation, first_time_ms, 32, 8, 32, 8);
FIELD(kist_generation, last_time_ms, 40, 8, 40, 8);
FIELD(kist_generation, bases, 48, 8, 48, 8);
FIELD(kist_generation, ranges, 56, 8, 56, 8);
FIELD(kist_generation, bytes, 64, 8, 64, 8);
FIELD(kist_generation, table_bytes, 72, 8, 72, 8);

STRUCT(kist_prune_options, 24, 24);
FIELD(kist_prune_options, size, 0, 4, 0, 4);
FIELD(kist_prune_options, flags, 4, 4, 4, 4);
FIELD(kist_prune_options, keep_count, 8, 8, 8, 8);
FIELD(kist_prune_options, keep_ms, 16, 8, 16, 8);

STRUCT(kist_stream_info, 48, 48);
FIELD(kist_stream_info, size, 0, 4, 0, 4);
FIELD(kist_stream_info, state, 4, 4, 4, 4);
FIELD(kist_stream_info, shipped_seq, 8, 8, 8, 8);
FIELD(kist_stream_info, lag_bytes, 16, 8, 16, 8);
FIELD(kist_stream_info, lag_ms, 24, 8, 24, 8);
FIELD(kist_stream_info, shipped_bytes, 32, 8, 32, 8);
FIELD(kist_stream_info, errors, 40, 8, 40, 8);
