// Where libkist.so comes from: beside the program or from the package's runtimes folder first, then
// from where the loader of the system looks, by the plain name and by the one that has no -dev package.
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]
[module: SkipLocalsInit]

namespace Kist.Raw;

public static unsafe partial class Native
{
    internal const string Library = "kist";
    private const string Soname = "libkist.so.0";

    // Not a static constructor: each call would have to ask whether it ran.
#pragma warning disable CA2255
    [ModuleInitializer]
    internal static void Initialize() =>
        NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, Resolve);
#pragma warning restore CA2255

    private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library)
            return IntPtr.Zero;
        return NativeLibrary.TryLoad(name, assembly, path, out IntPtr handle)
            || NativeLibrary.TryLoad(Soname, assembly, path, out handle)
            ? handle
            : IntPtr.Zero;
    }
}
