namespace ColossalChat.Contracts;

// Just enough of another version of the contracts to build plugins against.
public interface IPlugin
{
    void Register(IPluginRegistry registry);
}

public interface IPluginRegistry
{
    // Unlike the real one, without the demand for a parameterless constructor.
    void Add<TSeam, TOptions>(string name, Func<TOptions, INodeContext, TSeam> create)
        where TSeam : class
        where TOptions : class;
}

public interface INodeContext;

public interface IScoringRole;
