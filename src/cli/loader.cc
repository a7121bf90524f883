// A batch is written when it is full, when the input pauses (so that `tail -f | kist load` shows up
// at once), and at the end.
//
// Batches go to the operating system one by one, in order, and one sync ends the load: a kill
// leaves a prefix of the input. --sync gives each batch a policy instead.
#include "cli/loader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "cli/interrupt.h"
#include "cli/number.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr int kPauseMs = 200;
constexpr double kBatchSecondsMax = 1;
constexpr uint64_t kSkipMessagesMax = 20;

// 0 where one of them is a pipe or a terminal.
uint64_t TotalBytes(const std::vector<std::string>& paths) {
  uint64_t total = 0;
  for (const std::string& path : paths) {
    struct stat status = {};
    const int rc = path == "-" ? fstat(STDIN_FILENO, &status) : stat(path.c_str(), &status);
    if (rc != 0 || !S_ISREG(status.st_mode)) return 0;
    total += static_cast<uint64_t>(status.st_size);
  }
  return total;
}

}  // namespace

std::string Loader::Where(const std::string& name, uint64_t line) const {
  return name + ":" + std::to_string(line);
}

// "12 entries of lines 1..12 are in the database", with several files
// "12 entries (all of a.tsv, lines 1..3 of b.tsv) are in the database".
std::string Loader::Loaded() const {
  if (entries_ == 0) return options_.dry_run ? "no entry was checked" : "nothing was loaded";
  std::string where;
  for (const std::string& name : finished_) where += "all of " + name + ", ";
  if (line_ > 0) {
    where += "lines 1.." + std::to_string(line_);
    if (!finished_.empty()) where += " of " + file_;
  } else if (!where.empty()) {
    where.resize(where.size() - 2);
  }
  where = finished_.empty() ? " of " + where : " (" + where + ")";
  const char* const verb = options_.dry_run  ? " were checked"
                           : options_.remove ? " are deleted from the database"
                                             : " are in the database";
  return FormatEntries(entries_) + where + verb;
}

// Full, or as old as a person who looks on wants to wait. The clock and the input are asked only
// when the next record is not in memory yet, so that a file costs neither.
bool Loader::IsDue(const Input& input) const {
  const size_t count = kist_batch_count(batch_);
  if (options_.atomic || count == 0) return false;
  if (batch_held_bytes_ >= batch_bytes_ || count >= options_.batch_entries) return true;
  if (!input.Drained() || input.size() > 0) return false;
  return progress_->Seconds() - batch_began_ > kBatchSecondsMax || input.WouldWait(kPauseMs);
}

int Loader::Commit() {
  const size_t count = kist_batch_count(batch_);
  if (count > 0 && !options_.dry_run) {
    kist_write_options write = KIST_WRITE_OPTIONS_INIT;
    write.durability = options_.policy_given ? KIST_DURABILITY_DEFAULT : KIST_DURABILITY_OS;
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_write(database_.db(), &write, batch_, nullptr, &err);
    if (rc != KIST_OK) {
      if (options_.atomic) {
        const int code = context_.Fail("the commit", rc, err);
        context_.console->Error("--atomic: nothing was loaded");
        return code;
      }
      const int code = context_.Fail(
          Where(input_->name(), line_ + 1) + ".." + std::to_string(line_read_), rc, err);
      context_.console->Error("these lines were not loaded; " + Loaded());
      return code;
    }
  }
  entries_ += count;
  kist_batch_clear(batch_);
  batch_held_bytes_ = 0;
  file_ = input_->name();
  line_ = line_read_;
  return kExitOk;
}

int Loader::Stop(int code) {
  if (options_.atomic) {
    context_.console->Error("--atomic: nothing was loaded");
    return code;
  }
  const int commit = Commit();
  if (commit != kExitOk) return commit;
  const int finish = Finish();
  if (finish != kExitOk) return finish;
  context_.console->Error(Loaded());
  return code;
}

// Everything committed becomes durable at the end, whatever the policy was.
int Loader::Finish() {
  if (options_.dry_run || database_.db() == nullptr) return kExitOk;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_sync(database_.db(), &err);
  return rc == KIST_OK ? kExitOk : context_.Fail("sync of " + database_.path(), rc, err);
}

int Loader::BadRecord(const Input& input, uint64_t line, const std::string& reason) {
  const std::string text = Where(input.name(), line) + ": " + reason;
  if (!options_.skip_bad) {
    context_.console->Error("stopped at " + text);
    return Stop(kExitBadInput);
  }
  ++skipped_;
  line_read_ = input.line();
  if (skipped_ <= kSkipMessagesMax) context_.console->Note("skipped " + text);
  if (skipped_ == kSkipMessagesMax + 1) context_.console->Note("skipped more, counted only");
  return kExitOk;
}

// kExitBadInput, with the reason in reason_, for what another record may do better.
int Loader::Add(const Record& record) {
  reason_.clear();
  if (record.key.size() > database_.key_bytes_max()) {
    reason_ = Printf("a key of %zu bytes, the limit is %llu", record.key.size(),
                     static_cast<unsigned long long>(database_.key_bytes_max()));
  } else if (record.value.size() > database_.value_bytes_max()) {
    reason_ = Printf("a value of %zu bytes, the limit is %llu", record.value.size(),
                     static_cast<unsigned long long>(database_.value_bytes_max()));
  }
  if (!reason_.empty()) return kExitBadInput;
  if (batch_held_bytes_ == 0) batch_began_ = progress_->Seconds();
  kist_err err = KIST_ERR_INIT;
  kist_keyspace* const keyspace = database_.keyspace();
  const kist_rc rc =
      options_.remove
          ? kist_batch_delete(batch_, keyspace, record.key.data(), record.key.size(), &err)
          : kist_batch_put(batch_, keyspace, record.key.data(), record.key.size(),
                           record.value.data(), record.value.size(),
                           record.ttl_ms.value_or(options_.ttl_ms), &err);
  if (rc == KIST_OK) {
    batch_held_bytes_ += record.key.size() + record.value.size();
    return kExitOk;
  }
  reason_ = Describe(rc, err);
  return rc == KIST_E_LIMIT && !options_.atomic ? kExitBadInput : ExitCodeOf(rc);
}

int Loader::LoadRecords(Input* input, RecordReader* reader) {
  Record record;
  for (;;) {
    if (InterruptPending() != 0) return kExitSignal + InterruptPending();
    const RecordReader::Result result = reader->Next(&record);
    int code = kExitOk;
    switch (result) {
      case RecordReader::Result::kEnd:
        return kExitOk;
      case RecordReader::Result::kInterrupted:
        return kExitSignal + InterruptPending();
      case RecordReader::Result::kFailed:
        context_.console->Error("stopped at " + Where(input->name(), input->line() + 1) + ": " +
                                input->error());
        return Stop(kExitIo);
      case RecordReader::Result::kFatal:
        context_.console->Error("stopped at " + Where(input->name(), record.line) + ": " +
                                reader->error());
        return Stop(kExitBadInput);
      case RecordReader::Result::kBad:
        code = BadRecord(*input, record.line, reader->error());
        break;
      case RecordReader::Result::kRecord:
        code = Add(record);
        if (code == kExitOk) {
          line_read_ = input->line();
        } else if (code == kExitBadInput) {
          code = BadRecord(*input, record.line, reason_);
        } else {
          context_.console->Error("stopped at " + Where(input->name(), record.line) + ": " +
                                  reason_);
          return Stop(code);
        }
    }
    if (code != kExitOk) return code;
    if (IsDue(*input)) code = Commit();
    if (code != kExitOk) return code;
    progress_->Update(bytes_done_ + input->bytes(), bytes_total_,
                      entries_ + kist_batch_count(batch_));
  }
}

int Loader::LoadFile(const std::string& path) {
  Input input;
  input_ = &input;
  line_ = 0;
  line_read_ = 0;
  if (!input.Open(path)) {
    context_.console->Error(input.name() + ": " + input.error());
    return Stop(kExitIo);
  }
  FormatOptions format = options_.format;
  if (!options_.format_given) format.format = FormatOfFile(path).value_or(Format::kTsv);
  const std::string wrong = CheckReadOptions(format);
  if (!wrong.empty()) return context_.Usage(wrong);
  const auto reader = NewRecordReader(format, &input);
  int code = LoadRecords(&input, reader.get());
  if (code > kExitSignal) {
    context_.console->Error("interrupted at " + Where(input.name(), input.line()));
    code = Stop(code);
  }
  if (code != kExitOk) return code;
  if (!options_.atomic) code = Commit();
  if (code != kExitOk) return code;
  bytes_done_ += input.bytes();
  finished_.push_back(input.name());
  line_ = 0;
  return kExitOk;
}

int Loader::Run(const std::vector<std::string>& paths) {
  OwnedBatch batch;
  const kist_rc rc = kist_batch_new(batch.out());
  if (rc != KIST_OK) return context_.Fail("", rc, KIST_ERR_INIT);
  batch_ = batch.get();
  bytes_total_ = TotalBytes(paths);
  Progress progress(context_.console, context_.command->name, Progress::Unit::kBytes,
                    context_.ShowProgress());
  progress_ = &progress;
  for (const std::string& path : paths) {
    const int code = LoadFile(path);
    if (code != kExitOk) return code;
  }
  const Input none;
  input_ = &none;
  int code = Commit();  // --atomic: the only one
  if (code == kExitOk) code = Finish();
  if (code != kExitOk) return code;
  context_.console->ClearStatus();
  const double seconds = progress.Seconds();
  std::string text = FormatEntries(entries_) + " ";
  text += options_.dry_run ? "checked, nothing loaded" : (options_.remove ? "deleted" : "loaded");
  text += ", " + FormatBytes(static_cast<double>(bytes_done_)) + " in " + FormatSeconds(seconds);
  if (seconds > 0.05) {
    text += " (" + FormatBytes(static_cast<double>(bytes_done_) / seconds) + "/s)";
  }
  if (skipped_ > 0)
    text += ", " + FormatCount(skipped_) + (skipped_ == 1 ? " record skipped" : " records skipped");
  context_.console->Note(text);
  return kExitOk;
}

}  // namespace kist::cli
