// The package, as its users meet it: its layout, the program of README.md, and a small program that is
// compiled ahead of time and trimmed.
using System.IO.Compression;
using System.Text.RegularExpressions;

namespace Kist.Tests;

public sealed class PackageTests : IDisposable
{
    private readonly string directory = Places.NewDirectory();

    private static string Cached => Path.Combine(
        Environment.GetEnvironmentVariable("NUGET_PACKAGES")
            ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages"),
        "kist");

    // What the library calls back, in a program that was compiled ahead of time; says nothing where it is right.
    private const string Callbacks = """

        using (var big = Database.Open("big.db", "sync=never; compression=none"))
        {
            for (int i = 0; i < 8; i++)
                big.Default.Put([(byte)i], new byte[1 << 20]);
            big.Flush();
            ulong done = 0;
            big.Verify(new Reports(progress => done = progress.Done));
            if (done == 0)
                throw new Exception("no progress");
            using var cancel = new CancellationTokenSource();
            try
            {
                big.Verify(new Reports(_ => cancel.Cancel()), cancel.Token);
                throw new Exception("not cancelled");
            }
            catch (OperationCanceledException)
            {
            }
            try
            {
                big.Verify(new Reports(_ => throw new NotSupportedException()));
                throw new Exception("nothing was thrown");
            }
            catch (NotSupportedException)
            {
            }
        }
        Directory.CreateDirectory("big.db/999999.kst"); // a leftover that cannot be removed
        int heard = 0;
        using (var options = new KistOptions().SetLogger(LogLevel.Debug, (_, _) => Interlocked.Increment(ref heard)))
        using (Database.Open("big.db", options))
        {
        }
        if (heard == 0)
            throw new Exception("the logger heard nothing");

        sealed class Reports(Action<JobProgress> report) : IProgress<JobProgress>
        {
            public void Report(JobProgress value) => report(value);
        }
        """;

    public PackageTests() => Forget();

    // NuGet keeps what it once installed: another run's package of the same version.
    private static void Forget()
    {
        if (Directory.Exists(Cached))
            Directory.Delete(Cached, true);
    }

    public void Dispose()
    {
        Forget();
        Directory.Delete(directory, true);
    }

    private static IEnumerable<string> Blocks(string text, string language) =>
        Regex.Matches(text, $"```{language}\n(.*?)```", RegexOptions.Singleline).Select(match => match.Groups[1].Value);

    private string Shell(string script, string? libraries = null) => Places.Run("sh", ["-eu", "-c", script], directory, environment =>
    {
        foreach (string name in environment.Keys.Where(name => name.StartsWith("MSBUILD") || name.StartsWith("VSTEST")).ToList())
            environment.Remove(name);
        environment["LD_LIBRARY_PATH"] = libraries; // the package brings the library
        environment["ArtifactsPath"] = Path.Combine(directory, "artifacts");
    });

    [Theory]
    [InlineData("Tour")]
    [InlineData("Transfer")]
    public void ExamplesRun(string name)
    {
        string project = Path.Combine(Places.Here(), "examples", name);
        Assert.NotEqual("", Shell($"dotnet run --project '{project}' db", Environment.GetEnvironmentVariable("LD_LIBRARY_PATH")));
    }

    [Fact]
    public void ReadmeRunsAndCompilesAheadOfTime()
    {
        string readme = File.ReadAllText(Path.Combine(Places.Here(), "README.md"));
        File.WriteAllText(Path.Combine(directory, "Program.cs"), Blocks(readme, "csharp").First());
        string root = Path.GetDirectoryName(Places.Bindings)!;
        string output = Shell(Blocks(readme, "sh").First().Replace("/path/to/kist", root));
        Assert.EndsWith(Blocks(readme, "text").First(), output);

        string package = Assert.Single(Directory.GetFiles(Path.Combine(directory, "packages"), "*.nupkg"));
        using (ZipArchive zip = ZipFile.OpenRead(package))
        {
            string[] names = zip.Entries.Select(entry => entry.FullName).ToArray();
            foreach (string name in new[]
                { "lib/net8.0/Kist.dll", "lib/net8.0/Kist.xml", "runtimes/linux-x64/native/libkist.so", "README.md" })
                Assert.Contains(name, names);
        }

        File.WriteAllText(Path.Combine(directory, "hello", "hello.csproj"), """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net8.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <PublishAot>true</PublishAot>
                <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
              <ItemGroup><PackageReference Include="Kist" Version="0.1.0" /></ItemGroup>
            </Project>
            """);
        File.AppendAllText(Path.Combine(directory, "hello", "Program.cs"), Callbacks);
        Shell("rm -rf hello.db && dotnet publish hello -r linux-x64 -c Release -o out");
        Assert.False(File.Exists(Path.Combine(directory, "out", "Kist.dll"))); // it is in the program
        Assert.EndsWith(Blocks(readme, "text").First(), Shell("./out/hello"));
    }
}
