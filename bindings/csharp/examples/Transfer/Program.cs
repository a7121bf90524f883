// Moves money between accounts from many threads; no unit is lost: dotnet run --project examples/Transfer.
using System.Buffers.Binary;
using Kist;

using Database db = Database.Open(args.FirstOrDefault(":memory:"), "sync=never");
Keyspace accounts = db.Default;
for (byte i = 0; i < 8; i++)
    accounts.Put([i], Amount(1000));

Parallel.For(0, 800, i =>
{
    byte from = (byte)(i % 8), to = (byte)(i * 5 % 7);
    // Update begins again where another transaction was faster.
    db.Update(Isolation.Serializable, txn =>
    {
        txn.Put(accounts, [from], Amount(Balance(txn.In(accounts), from) - 1));
        txn.Put(accounts, [to], Amount(Balance(txn.In(accounts), to) + 1));
    });
});

long total = 0;
for (byte i = 0; i < 8; i++)
    total += Balance(accounts, i);
Console.WriteLine($"in all accounts: {total}");
return total == 8000 ? 0 : 1;

static long Balance(Reader reader, byte account)
{
    Span<byte> amount = stackalloc byte[8];
    reader.TryGet([account], amount, out _);
    return BinaryPrimitives.ReadInt64BigEndian(amount);
}

static byte[] Amount(long value)
{
    byte[] bytes = new byte[8];
    BinaryPrimitives.WriteInt64BigEndian(bytes, value);
    return bytes;
}
