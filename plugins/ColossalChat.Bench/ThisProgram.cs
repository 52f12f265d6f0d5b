using System.Diagnostics;
using System.Reflection;
using ColossalChat.Contracts;

namespace ColossalChat.Bench;

/// <summary>Starts this very program once more.</summary>
internal static class ThisProgram
{
    /// <summary>How to start it; what goes in and comes out is redirected, what it says on standard error is not.</summary>
    /// <exception cref="UserErrorException">Its path is not known.</exception>
    public static ProcessStartInfo With(IEnumerable<string> arguments)
    {
        // The program is its own executable, or dotnet with an assembly.
        var program = Environment.ProcessPath ?? throw new UserErrorException("The path of this program is not known, so the benchmark cannot start it again.", ExitCode.Failed);
        var isDotnet = Path.GetFileNameWithoutExtension(program).Equals("dotnet", StringComparison.OrdinalIgnoreCase);
        string[] entry = isDotnet ? [Assembly.GetEntryAssembly()!.Location] : [];
        return new ProcessStartInfo(program, [.. entry, .. arguments]) { RedirectStandardInput = true, RedirectStandardOutput = true };
    }
}
