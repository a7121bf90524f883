// Sorting a target's names, and reading listings and headers against them. A listing or header that
// stands under another name than it was made for is damage.
// Threads: one.
#include "backup/catalog.h"

#include <algorithm>

namespace kist {

Result<Mark> ReadMark(Target* target, const ObjectName& name) {
  const std::string object = FormatObjectName(name);
  KIST_TRY_ASSIGN(const std::string bytes, GetAll(target, object, kMarkBytes));
  return DecodeMark(bytes, name.kind, target->NameOf(object));
}

Result<Catalog> Catalog::Load(Target* target) {
  KIST_TRY_ASSIGN(std::vector<ObjectInfo> objects, target->List(""));
  Catalog c;
  bool root = false;
  std::string other;
  for (const ObjectInfo& o : objects) {
    const auto name = ParseObjectName(o.name);
    if (!name) continue;
    if (name->kind != ObjectKind::kRoot) other = o.name;
    CatalogGeneration* g = nullptr;
    if (name->generation != 0) {
      g = &c.generations[name->generation];
      g->number = name->generation;
      g->bytes += o.bytes;
    }
    switch (name->kind) {
      case ObjectKind::kRoot:
        root = true;
        break;
      case ObjectKind::kTable:
        c.tables[o.name] = o.bytes;
        break;
      case ObjectKind::kStart:
        g->started = true;
        break;
      case ObjectKind::kRange:
        g->ranges[name->index] = CatalogRange{*name, o.bytes};
        break;
      case ObjectKind::kBase:
        g->bases[name->lsn] = *name;
        break;
      case ObjectKind::kPending:
        g->pending.push_back(*name);
        break;
      case ObjectKind::kPrune:
        c.prunes.push_back(*name);
        break;
    }
  }
  if (!root) {
    if (other.empty()) return c;
    return Status::Corrupt(target->NameOf("KIST-TARGET"), 0,
                           "missing, though the target holds " + other);
  }
  KIST_TRY_ASSIGN(const Mark mark, ReadMark(target, ObjectName()));
  c.database_id = mark.database_id;
  return c;
}

Result<BaseListing> ReadBase(Target* target, const Catalog& catalog, const ObjectName& name) {
  const std::string object = FormatObjectName(name);
  KIST_TRY_ASSIGN(const std::string bytes, GetAll(target, object, kBaseBytesMax));
  KIST_TRY_ASSIGN(BaseListing base, DecodeBase(bytes, target->NameOf(object)));
  if (base.state.database_id != catalog.database_id)
    return Status::Corrupt(target->NameOf(object), 16, "belongs to another database");
  if (base.generation != name.generation || base.state.flushed_lsn != name.lsn)
    return Status::Corrupt(target->NameOf(object), 24, "stood under another name");
  return base;
}

Result<RangeHeader> ReadRangeHeader(Target* target, const Catalog& catalog,
                                    const CatalogRange& range) {
  const std::string object = FormatObjectName(range.name);
  const std::string where = target->NameOf(object);
  char buf[kRangeHeaderBytes];
  KIST_TRY_ASSIGN(const size_t n, target->Get(object, 0, buf, sizeof buf));
  KIST_TRY_ASSIGN(RangeHeader h, DecodeRangeHeader(Slice(buf, n), where));
  if (h.database_id != catalog.database_id)
    return Status::Corrupt(where, 16, "belongs to another database");
  if (h.generation != range.name.generation || h.index != range.name.index)
    return Status::Corrupt(where, 24, "stood under another name");
  if (range.bytes != kRangeHeaderBytes + h.payload_bytes)
    return Status::Corrupt(where, std::min(range.bytes, kRangeHeaderBytes + h.payload_bytes),
                           "is " + std::to_string(range.bytes) + " bytes long, its header says " +
                               std::to_string(kRangeHeaderBytes + h.payload_bytes));
  return h;
}

}  // namespace kist
