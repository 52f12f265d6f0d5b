using System.Runtime.InteropServices;
using ColossalChat.Contracts;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Models.Llama;

/// <summary>First weights from keyed random numbers; equal on every machine but for rounding.</summary>
internal static class FirstWeights
{
    private const int ChunkElements = 1 << 20;

    /// <summary>Fills a tensor with ones (norms), zeros (spread 0) or normal numbers.</summary>
    public static void Fill(Tensor value, double spread, bool isNorm, RandomKey key)
    {
        if (value.device_type == DeviceType.META)
            return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (isNorm || spread == 0)
        {
            value.fill_(isNorm ? 1 : 0);
            return;
        }

        var flat = value.view(-1);
        var numbers = new float[Math.Min(ChunkElements, (flat.numel() + 3) / 4 * 4)];
        var host = empty([numbers.Length], ScalarType.Float32, CPU);
        for (long done = 0; done < flat.numel(); done += numbers.Length)
        {
            var firstBlock = done / 4;
            Parallel.For(0, (numbers.Length + 4095) / 4096, piece =>
            {
                var end = Math.Min((piece + 1) * 4096, numbers.Length);
                for (var i = piece * 4096; i < end; i += 4)
                    FillFour(numbers.AsSpan(i, 4), (float)spread, key.Block(firstBlock + (i / 4)));
            });
            MemoryMarshal.AsBytes(numbers.AsSpan()).CopyTo(host.bytes);
            var count = Math.Min(numbers.Length, flat.numel() - done);
            flat.narrow(0, done, count).copy_(host.narrow(0, 0, count));
        }
    }

    // Box-Muller uses two uniform numbers for two normal ones; one Philox block has four.
    private static void FillFour(Span<float> target, float spread, (uint First, uint Second, uint Third, uint Fourth) bits)
    {
        (target[0], target[1]) = Pair(bits.First, bits.Second, spread);
        (target[2], target[3]) = Pair(bits.Third, bits.Fourth, spread);
    }

    private static (float, float) Pair(uint a, uint b, float spread)
    {
        const float Step = 1f / 4294967296f;
        var radius = spread * MathF.Sqrt(-2 * MathF.Log((a * Step) + (0.5f * Step)));
        var (sin, cos) = MathF.SinCos(2 * MathF.PI * (b * Step));
        return (radius * cos, radius * sin);
    }
}
