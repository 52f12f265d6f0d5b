using TorchSharp;
using Xunit;

namespace ColossalChat.UnitTests.House;

[Trait("Category", "CI")]
public sealed class TorchNativeRules
{
    [Fact]
    public void Torch_loads_from_our_own_output_and_computes()
    {
        using var two = torch.tensor(2f);
        using var four = two * two;
        Assert.Equal(4f, four.item<float>());
        if (!OperatingSystem.IsLinux())
            return;

        // TorchSharp searches the package cache when its own copy does not load: the copy that was mended must be the one in use.
        var loaded = File.ReadLines("/proc/self/maps")
            .Where(line => line.EndsWith("libLibTorchSharp.so", StringComparison.Ordinal))
            .Select(line => line[line.IndexOf('/', StringComparison.Ordinal)..])
            .Distinct()
            .ToArray();
        Assert.All(loaded, file => Assert.StartsWith(AppContext.BaseDirectory, file, StringComparison.Ordinal));
        Assert.Single(loaded);
    }
}
