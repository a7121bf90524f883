// Shows each part of the library once: dotnet run --project examples/Tour [DIRECTORY].
using System.Text;
using System.Text.Json;
using Kist;

using Database db = Database.Open(args.FirstOrDefault(":memory:"), "sync=interval:50ms; cache_size=64MiB");
using Keyspace users = db.OpenKeyspace("users", KeyspaceMode.Create);
using Keyspace sessions = db.OpenKeyspace("sessions", KeyspaceMode.Create);

// A batch over two keyspaces, all or nothing; a value is written in place, another one expires.
var batch = new Batch();
batch.Put(users, "ada"u8, "Ada Lovelace"u8);
batch.Put(users, "alan"u8, (Name: "Alan Turing", Born: 1912), static (writer, person) =>
{
    using var json = new Utf8JsonWriter(writer);
    json.WriteStartObject();
    json.WriteString("name", person.Name);
    json.WriteNumber("born", person.Born);
    json.WriteEndObject();
});
batch.Put(sessions, "ada"u8, "token"u8, TimeSpan.FromHours(1));
db.WaitDurable(db.Write(batch));
Console.WriteLine($"the session lives for another {sessions.TimeToLive("ada"u8)!.Value.TotalMinutes:f0} minutes");

// A snapshot does not see what comes later.
using Snapshot snapshot = db.Snapshot();
users.DeleteRange("a"u8, "b"u8);
Console.WriteLine($"now there is {(users.Contains("ada"u8) ? "somebody" : "nobody")}");
foreach (var (name, value) in snapshot.In(users).Entries(new ScanOptions { Prefix = "a"u8.ToArray() }))
    Console.WriteLine($"{Encoding.UTF8.GetString(name)} was {Encoding.UTF8.GetString(value)}");

// Every commit, as it was made.
using Feed feed = db.OpenFeed(db.LastSequence);
users.Put("grace"u8, "Grace Hopper"u8);
foreach (PackedOperation operation in feed.Next()!.Operations)
    Console.WriteLine($"{operation.Kind} {Encoding.UTF8.GetString(operation.Key)}");
