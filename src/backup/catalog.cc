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

// Somebody may mark an empty target, and begin, between the look at the mark and the listings.
Result<Catalog> Catalog::Load(Target* target, Part part, uint64_t generation) {
  Result<Catalog> c = LoadOnce(target, part, generation);
  if (c.ok() && c->IsUnmarked()) c = LoadOnce(target, part, generation);
  if (!c.ok() || !c->IsUnmarked()) return c;
  return Status::Corrupt(target->NameOf(FormatObjectName(ObjectName())), 0,
                         "missing, though the target holds other objects");
}

Result<Catalog> Catalog::LoadOnce(Target* target, Part part, uint64_t generation) {
  Catalog c;
  const Result<Mark> mark = ReadMark(target, ObjectName());
  if (mark.ok()) {
    c.database_id = mark->database_id;
  } else if (!mark.status().Is(Code::kMissing)) {
    return mark.status();
  }
  if (part == Part::kWhole) KIST_TRY(c.LoadWork(target));
  KIST_TRY(c.LoadStates(target, part, generation));
  if (part == Part::kWhole) {
    KIST_TRY_ASSIGN(const std::vector<ObjectInfo> tables, target->ListDurable("tables/"));
    for (const ObjectInfo& o : tables) {
      const auto name = ParseObjectName(o.name);
      if (name && name->bytes == o.bytes)
        c.tables[o.name] = {name->number, name->bytes, name->crc, name->upload};
    }
  }
  return c;
}

// One that goes away between the two looks has ended its work.
Status Catalog::LoadWork(Target* target) {
  const auto read = [&](const ObjectInfo& o, auto decode, auto* out) -> Status {
    Result<std::string> bytes = GetAll(target, o.name, kListBytesMax);
    if (!bytes.ok()) return bytes.status().Is(Code::kMissing) ? Status() : bytes.status();
    KIST_TRY_ASSIGN((*out)[o.name], decode(*bytes, target->NameOf(o.name)));
    if (database_id == 0 || (*out)[o.name].database_id == database_id) return Status();
    return Status::Corrupt(target->NameOf(o.name), 16, "belongs to another database");
  };
  KIST_TRY_ASSIGN(std::vector<ObjectInfo> objects, target->List("claim-"));
  for (const ObjectInfo& o : objects) {
    if (ParseObjectName(o.name)) KIST_TRY(read(o, DecodeClaim, &claims));
  }
  KIST_TRY_ASSIGN(objects, target->List("prune-"));
  for (const ObjectInfo& o : objects) {
    if (ParseObjectName(o.name)) KIST_TRY(read(o, DecodePrune, &prunes));
  }
  for (const auto& [name, p] : prunes) {
    for (const BaseTable& t : p.tables) doomed.insert(FormatObjectName(NameOf(t)));
  }
  return Status();
}

Status Catalog::LoadStates(Target* target, Part part, uint64_t generation) {
  std::string prefix = "generations/";
  if (generation != 0) {
    ObjectName start;
    start.kind = ObjectKind::kStart;
    start.generation = generation;
    prefix = FormatObjectName(start);
    prefix.resize(prefix.rfind('/') + 1);
  }
  KIST_TRY_ASSIGN(const std::vector<ObjectInfo> objects,
                  part == Part::kWhole ? target->ListDurable(prefix) : target->List(prefix));
  for (const ObjectInfo& o : objects) {
    const auto name = ParseObjectName(o.name);
    if (!name) continue;
    CatalogGeneration& g = generations[name->generation];
    g.number = name->generation;
    g.bytes += o.bytes;
    if (name->kind == ObjectKind::kStart) g.started = true;
    if (name->kind == ObjectKind::kRange) g.ranges[name->index] = CatalogRange{*name, o.bytes};
    if (name->kind == ObjectKind::kBase) g.bases[name->lsn] = *name;
  }
  return Status();
}

const BaseTable* Catalog::FindTable(uint64_t number, uint64_t bytes, uint32_t crc) const {
  const BaseTable first{number, bytes, crc, 0};
  for (auto it = tables.lower_bound(FormatObjectName(NameOf(first))); it != tables.end(); ++it) {
    const BaseTable& t = it->second;
    if (t.number != number || t.bytes != bytes || t.crc != crc) break;
    if (doomed.count(it->first) == 0) return &t;
  }
  return nullptr;
}

uint64_t Catalog::CutOf(uint64_t generation) const {
  uint64_t cut = 0;
  for (const auto& [name, p] : prunes) {
    const auto found = p.cuts.find(generation);
    if (found != p.cuts.end()) cut = std::max(cut, found->second);
  }
  return cut;
}

bool Catalog::SameBases(const Catalog& other) const {
  const auto names = [](const Catalog& c) {
    std::vector<std::pair<uint64_t, Sequence>> all;
    for (const auto& [number, g] : c.generations) {
      for (const auto& [lsn, name] : g.bases) all.emplace_back(number, lsn);
    }
    return all;
  };
  return names(*this) == names(other);
}

Result<BaseListing> ReadBase(Target* target, const Catalog& catalog, const ObjectName& name) {
  const std::string object = FormatObjectName(name);
  KIST_TRY_ASSIGN(const std::string bytes, GetAll(target, object, kListBytesMax));
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
  char buf[kRangeHeaderBytes];
  KIST_TRY_ASSIGN(const size_t n, target->Get(object, 0, buf, sizeof buf));
  KIST_TRY_ASSIGN(const RangeHeader h, DecodeRangeHeader(Slice(buf, n), target->NameOf(object)));
  KIST_TRY(CheckRangeHeader(target, catalog, range, h));
  return h;
}

Status CheckRangeHeader(Target* target, const Catalog& catalog, const CatalogRange& range,
                        const RangeHeader& h) {
  const std::string where = target->NameOf(FormatObjectName(range.name));
  if (h.database_id != catalog.database_id)
    return Status::Corrupt(where, 16, "belongs to another database");
  if (h.generation != range.name.generation || h.index != range.name.index)
    return Status::Corrupt(where, 24, "stood under another name");
  if (range.bytes != kRangeHeaderBytes + h.payload_bytes)
    return Status::Corrupt(where, std::min(range.bytes, kRangeHeaderBytes + h.payload_bytes),
                           "is " + std::to_string(range.bytes) + " bytes long, its header says " +
                               std::to_string(kRangeHeaderBytes + h.payload_bytes));
  return Status();
}

}  // namespace kist
