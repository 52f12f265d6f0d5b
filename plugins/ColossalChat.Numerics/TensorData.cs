using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace ColossalChat.Numerics;

/// <summary>Moves whole blocks between managed arrays and tensors; reading element by element costs microseconds each.</summary>
public static class TensorData
{
    /// <summary>A new tensor with a copy of <paramref name="values"/>.</summary>
    /// <typeparam name="T">float, double, int, long, bool or byte; the element type follows it.</typeparam>
    /// <param name="values">All elements in row-major order.</param>
    /// <param name="shape">Sizes; their product is the number of values.</param>
    /// <param name="device">Where it goes.</param>
    public static Tensor From<T>(ReadOnlySpan<T> values, long[] shape, Device device)
        where T : unmanaged
    {
        var tensor = empty(shape, ScalarTypeOf<T>());
        if (tensor.numel() != values.Length)
            throw new ArgumentException($"{values.Length} values do not fill shape [{string.Join(", ", shape)}].", nameof(values));
        if (!values.IsEmpty)
            MemoryMarshal.AsBytes(values).CopyTo(tensor.bytes);
        if (device.type == DeviceType.CPU)
            return tensor;
        using (tensor)
            return tensor.to(device);
    }

    /// <summary>A copy of all elements in row-major order, as float.</summary>
    public static float[] ToFloats(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var ready = tensor.detach().to(float32).cpu().contiguous();
        return ready.numel() == 0 ? [] : MemoryMarshal.Cast<byte, float>(ready.bytes).ToArray();
    }

    /// <summary>The one element of a tensor, as double.</summary>
    public static double ToDouble(Tensor scalar) => scalar.dtype switch
    {
        ScalarType.Float32 => scalar.item<float>(),
        ScalarType.Float64 => scalar.item<double>(),
        ScalarType.Int64 => scalar.item<long>(),
        _ => ToFloats(scalar)[0],
    };

    private static ScalarType ScalarTypeOf<T>()
        where T : unmanaged => default(T) switch
        {
            float => ScalarType.Float32,
            double => ScalarType.Float64,
            int => ScalarType.Int32,
            long => ScalarType.Int64,
            bool => ScalarType.Bool,
            byte => ScalarType.Byte,
            _ => throw new NotSupportedException($"Tensors of {typeof(T).Name} are not used here."),
        };
}
