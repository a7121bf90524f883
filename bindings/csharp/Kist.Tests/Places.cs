// Where things lie: the source tree around this file, and directories that a test may fill.
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Kist.Tests;

internal static class Places
{
    internal static string Here([CallerFilePath] string path = "") =>
        Path.GetDirectoryName(Path.GetDirectoryName(path))!;

    internal static string Bindings => Path.GetDirectoryName(Here())!;

    internal static string NewDirectory() => Directory.CreateTempSubdirectory("kist-").FullName;

    /// <summary>The output of a program, which must succeed.</summary>
    internal static string Run(
        string program, IEnumerable<string> arguments, string? directory = null,
        Action<IDictionary<string, string?>>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
            WorkingDirectory = directory ?? Here(),
        };
        environment?.Invoke(start.Environment);
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program}: {process.ExitCode}\n{output}{errors.Result}");
        return output;
    }
}

internal static class Bytes
{
    internal static byte[] B(this string text) => Encoding.Latin1.GetBytes(text);
}
