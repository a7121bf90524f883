// The raw layer against kist.h: every constant, struct, field and function, as facts.py reads them.
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Kist.Raw;

namespace Kist.Tests;

public partial class HeaderTests
{
    private static readonly string[][] Facts = Read();

    private static string[][] Read()
    {
        string include = Places.Run("pkg-config", ["--variable=includedir", "kist"]).Trim();
        string script = Path.Combine(Places.Bindings, "conformance", "facts.py");
        return Places.Run("python3", [script, Path.Combine(include, "kist", "kist.h")])
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t')).ToArray();
    }

    private static IEnumerable<string[]> Of(string kind) => Facts.Where(fact => fact[0] == kind);

    private static Type Struct(string name) => typeof(Native).Assembly.GetType($"Kist.Raw.{name}", true)!;

    [Fact]
    public void Constants()
    {
        var found = typeof(Native).GetFields().Where(f => f.IsLiteral).ToDictionary(f => f.Name);
        foreach (string[] fact in Of("constant"))
        {
            Assert.True(found.Remove(fact[1], out FieldInfo? field), $"{fact[1]} is missing");
            Assert.Equal(fact[2], field.GetRawConstantValue()!.ToString());
            Type type = fact[3] switch { "int" => typeof(int), "uint" => typeof(uint), _ => typeof(long) };
            Assert.Equal(type, field.FieldType);
        }
        Assert.Empty(found);
    }

    [Fact]
    public void Structs()
    {
        foreach (string[] fact in Of("struct"))
        {
            Type type = Struct(fact[1]);
            Assert.Equal(int.Parse(fact[2]), SizeOf(type));
            var fields = type.GetFields().ToDictionary(f => f.Name);
            foreach (string[] member in Of("field").Where(f => f[1] == fact[1]))
            {
                Assert.True(fields.Remove(member[2], out FieldInfo? field), $"{fact[1]}.{member[2]} is missing");
                Assert.Equal(int.Parse(member[3]), (int)Marshal.OffsetOf(type, field.Name));
                Assert.Equal(int.Parse(member[4]), SizeOf(field.FieldType));
            }
            Assert.Empty(fields);
        }
    }

    private static int SizeOf(Type type) => type.IsPointer || type.IsFunctionPointer
        ? IntPtr.Size
        : (int)typeof(System.Runtime.CompilerServices.Unsafe).GetMethod("SizeOf")!
            .MakeGenericMethod(type).Invoke(null, null)!;

    [Fact]
    public void Functions()
    {
        var found = typeof(Native).GetMethods(BindingFlags.Public | BindingFlags.Static)
            .Where(m => m.Name.StartsWith("kist_")).ToDictionary(m => m.Name);
        foreach (string[] fact in Of("function"))
        {
            Assert.True(found.Remove(fact[1], out MethodInfo? method), $"{fact[1]} is missing");
            string[] types = [Name(method.ReturnType), .. method.GetParameters().Select(p => Name(p.ParameterType))];
            Assert.True(fact[2..].Select(Expected).SequenceEqual(types), $"{fact[1]}: {string.Join(", ", types)}");
        }
        Assert.Empty(found);
    }

    [GeneratedRegex(@"^(\w+) \(\*\)\((.*)\)$")]
    private static partial Regex FunctionPointer();

    /// <summary>A C type in the words that <see cref="Name"/> has for the type of C#.</summary>
    private static string Expected(string c)
    {
        if (FunctionPointer().Match(c) is { Success: true } match)
            return Callback([match.Groups[1].Value, .. match.Groups[2].Value.Split(", ")]);
        if (Of("callback").FirstOrDefault(fact => fact[1] == c) is { } callback)
            return Callback(callback[2..]);
        string word = c.Replace("const ", "").TrimEnd('*').Trim();
        string stars = new('*', c.Count(letter => letter == '*'));
        return stars + word switch
        {
            "kist_rc" or "int32_t" => "Int32",
            "uint32_t" => "UInt32",
            "int64_t" => "Int64",
            "uint64_t" => "UInt64",
            "size_t" => "UIntPtr",
            "char" => "Byte",
            "void" => "Void",
            _ => word,
        };
    }

    private static string Callback(string[] types) => $"fn({string.Join(",", types.Select(Expected))})";

    private static string Name(Type type) => type.IsPointer ? "*" + Name(type.GetElementType()!)
        : type.IsFunctionPointer
            ? $"fn({string.Join(",", type.GetFunctionPointerParameterTypes().Prepend(type.GetFunctionPointerReturnType()).Select(Name))})"
            : type.Name;

    [Fact]
    public void EnumsNameEveryCode()
    {
        foreach (string[] fact in Of("constant"))
        {
            if (Regex.IsMatch(fact[1], "^KIST_(E_|OK|DONE|NOT_FOUND|TRUNCATED)"))
                Assert.True(Enum.IsDefined((KistCode)int.Parse(fact[2])), fact[1]);
            if (fact[1].StartsWith("KIST_D_"))
                Assert.True(Enum.IsDefined((KistDetail)int.Parse(fact[2])), fact[1]);
        }
    }
}
