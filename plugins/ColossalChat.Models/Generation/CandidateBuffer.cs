using System.Numerics;
using ColossalChat.Contracts;

namespace ColossalChat.Models.Generation;

/// <summary>Scratch memory to pick the tokens that top-k, top-p and min-p leave.</summary>
internal sealed class CandidateBuffer
{
    private ulong[] _keys = new ulong[1024];
    private float[] _exponentials = [];

    /// <summary>Number of candidates.</summary>
    public int Count { get; private set; }

    /// <summary>The candidate at a place; best first where top-k or top-p sorted them.</summary>
    public int IdAt(int place) => (int)(uint)_keys[place];

    /// <summary>Leaves the tokens that the settings allow.</summary>
    /// <exception cref="InvalidOperationException">A log-probability is NaN.</exception>
    public void Filter(ReadOnlySpan<float> logProbs, SamplingOptions sampling)
    {
        var best = float.NegativeInfinity;
        foreach (var logProb in logProbs)
            best = Math.Max(best, logProb);

        // The largest of numbers with a NaN among them is NaN; no bar below it would ever let enough tokens pass.
        if (float.IsNaN(best))
            throw TokenSampler.NotNumbers("after repetition penalty and temperature");
        var hasTopK = sampling.TopK > 0 && sampling.TopK < logProbs.Length;
        if (hasTopK)
            TakeBest(logProbs, sampling.TopK);
        else if (sampling.TopP < 1)
            TakeMass(logProbs, best, sampling.TopP);
        else
            TakeAbove(logProbs, best + (float)Math.Log(sampling.MinP));
        if (sampling.TopP < 1)
            CutToMass(logProbs, sampling.TopP, hasTopK ? MassOf(logProbs) : 1);
        if (sampling.MinP > 0)
            CutBelow(logProbs, best + (float)Math.Log(sampling.MinP));
    }

    /// <summary>exp of each value; vectorised.</summary>
    public ReadOnlySpan<float> Exponentials(ReadOnlySpan<float> values)
    {
        if (_exponentials.Length < values.Length)
            _exponentials = new float[values.Length];
        var (width, i) = (Vector<float>.Count, 0);
        for (; i <= values.Length - width; i += width)
            Vector.Exp(new Vector<float>(values[i..])).CopyTo(_exponentials, i);
        for (; i < values.Length; i++)
            _exponentials[i] = MathF.Exp(values[i]);
        return _exponentials.AsSpan(0, values.Length);
    }

    // A key sorts by falling log-probability, then by rising id.
    private static ulong KeyOf(float logProb, int id)
    {
        var bits = BitConverter.SingleToUInt32Bits(logProb);
        var rising = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
        return ((ulong)~rising << 32) | (uint)id;
    }

    private void TakeBest(ReadOnlySpan<float> logProbs, int count)
    {
        // Keeps up to four times as many and throws the worse ones out now and then: a full sort is never needed.
        Count = 0;
        var (room, worst) = (checked(count * 4), ulong.MaxValue);
        for (var id = 0; id < logProbs.Length; id++)
        {
            var key = KeyOf(logProbs[id], id);
            if (key > worst)
                continue;
            Add(key);
            if (Count < room)
                continue;
            Array.Sort(_keys, 0, Count);
            Count = count;
            worst = _keys[count - 1];
        }

        Array.Sort(_keys, 0, Count);
        Count = Math.Min(Count, count);
    }

    private void TakeMass(ReadOnlySpan<float> logProbs, float best, double mass)
    {
        // The set wanted holds the likeliest tokens only; look at few first and lower the bar until they suffice.
        for (var bar = best - 4; ; bar -= 4)
        {
            TakeAbove(logProbs, bar < best - 60 ? float.NegativeInfinity : bar);
            if (Count == logProbs.Length || bar < best - 60 || MassOf(logProbs) > mass)
                break;
        }

        Array.Sort(_keys, 0, Count);
    }

    private void TakeAbove(ReadOnlySpan<float> logProbs, float bar)
    {
        Count = 0;
        for (var id = 0; id < logProbs.Length; id++)
            if (logProbs[id] >= bar)
                Add(KeyOf(logProbs[id], id));
    }

    private double MassOf(ReadOnlySpan<float> logProbs)
    {
        double mass = 0;
        for (var i = 0; i < Count; i++)
            mass += Math.Exp(logProbs[IdAt(i)]);
        return mass;
    }

    private void CutToMass(ReadOnlySpan<float> logProbs, double share, double whole)
    {
        double reached = 0;
        for (var i = 0; i < Count; i++)
        {
            reached += Math.Exp(logProbs[IdAt(i)]);
            if (reached >= share * whole)
            {
                Count = i + 1;
                return;
            }
        }
    }

    private void CutBelow(ReadOnlySpan<float> logProbs, float bar)
    {
        var kept = 0;
        for (var i = 0; i < Count; i++)
            if (logProbs[IdAt(i)] >= bar)
                _keys[kept++] = _keys[i];
        Count = Math.Max(kept, 1);
    }

    private void Add(ulong key)
    {
        if (Count == _keys.Length)
            Array.Resize(ref _keys, _keys.Length * 2);
        _keys[Count++] = key;
    }
}
