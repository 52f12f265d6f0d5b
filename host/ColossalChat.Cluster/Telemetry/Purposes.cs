using ColossalChat.Contracts;

namespace ColossalChat.Cluster;

/// <summary>Labels of metrics for what a batch is made for.</summary>
internal static class Purposes
{
    public static KeyValuePair<string, object?> LabelOf(BatchPurpose purpose) =>
        new("purpose", purpose == BatchPurpose.Train ? "train" : "evaluate");
}
