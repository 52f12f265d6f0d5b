namespace ColossalChat.Cluster;

/// <summary>
/// Akka settings of the wire between nodes; every node has the same ones, above the user's. They give each message that may
/// cross its serialiser and take the default JSON serialiser and remote deployment away.
/// </summary>
public static class WireHocon
{
    /// <summary>HOCON text.</summary>
    public static string Text { get; } = $$"""
        akka.actor {
          serializers {
            flow = "{{NameOf(typeof(FlowSerializer))}}"
            json = "{{NameOf(typeof(RefusedSerializer))}}"
            daemon-create = "{{NameOf(typeof(RefusedDeployment))}}"
          }
          serialization-bindings {
            "{{NameOf(typeof(IWireMessage))}}" = flow
            "{{NameOf(typeof(PackedMessage))}}" = flow
          }
          serialization-identifiers {
            "{{NameOf(typeof(FlowSerializer))}}" = {{FlowSerializer.Id}}
            "{{NameOf(typeof(RefusedSerializer))}}" = 1
            "{{NameOf(typeof(RefusedDeployment))}}" = 3
          }
          serialization-settings.allow-unregistered-types = off
        }
        akka.remote.dot-netty.tcp.maximum-frame-size = {{WireLimits.FrameBytes}}b
        """;

    private static string NameOf(Type type) => $"{type.FullName}, {type.Assembly.GetName().Name}";
}
